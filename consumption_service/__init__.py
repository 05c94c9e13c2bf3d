"""Records what is watched, and announces it.

The data flow: api -> record -> announce -> shared.broker.
"""
