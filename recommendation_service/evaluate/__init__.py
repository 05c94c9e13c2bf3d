"""Evaluation: only this folder predicts watches before they are learned, and counts hits."""
