"""Evaluation: prequential evaluation of the model, and attribution of watches to impressions."""
