"""Queries: only this folder reads the tables for an answer; it writes nothing but settings."""
