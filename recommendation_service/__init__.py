"""The recommendation service: consume -> learn -> replicate -> serve -> api.

`model/` is pure: no I/O, no clock. Only `app.py` knows all parts.
"""
