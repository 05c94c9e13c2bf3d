"""Replicas: only this folder applies changes to the model counts and catalogue in memory."""
