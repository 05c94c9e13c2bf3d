"""Consumers: only this folder acknowledges deliveries of the consumption service."""
