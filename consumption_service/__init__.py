"""The consumption service records watches and publishes them: api -> record -> publish.

Only `app.py` knows all parts.
"""
