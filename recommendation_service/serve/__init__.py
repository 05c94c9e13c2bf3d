"""Serving: only this folder requests lists of the model; it writes nothing but hidden lessons."""
