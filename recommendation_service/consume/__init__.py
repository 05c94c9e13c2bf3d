"""Consumers: only this folder acknowledges deliveries of the recommendation service."""
