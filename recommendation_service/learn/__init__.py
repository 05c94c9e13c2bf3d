"""Learning: only this folder writes what was learned, with its change log."""
