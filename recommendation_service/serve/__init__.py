"""Serving: only this folder asks the model for lists; it writes nothing but hidden lessons."""
