"""A process: its settings, signals, background tasks, logs, metrics and traces."""
