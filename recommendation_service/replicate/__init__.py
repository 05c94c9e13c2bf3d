"""Replicas: only this folder changes the model and the catalogue in memory."""
