"""Learns from what is watched, and recommends what to watch next.

The data flow: shared.broker -> consume -> learn -> model -> serve -> api.
"""
