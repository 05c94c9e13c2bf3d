"""The command line for people: run, demo, import, migrate."""
