"""Background tasks, futures and logs, without a service."""
