"""The command line: run, demo, import, migrate, rebuild, parked, key."""
