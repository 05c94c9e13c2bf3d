"""The recommendation service: consume -> learn -> model -> replicate -> serve -> api.

Only `app.py` knows all parts.
"""
