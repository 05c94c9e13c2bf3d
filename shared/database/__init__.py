"""Databases: engines, bulk statements and migrations; both services use theirs by `Database`."""
