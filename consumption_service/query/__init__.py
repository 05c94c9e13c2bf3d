"""Queries: read watches and progress for answers; the only writes are completion percentages."""
