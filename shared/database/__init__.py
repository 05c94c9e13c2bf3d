"""Databases: only this folder creates engines; both services reach theirs through `Database`."""
