"""Recording: only this folder writes watches and their outbox rows, in one transaction."""
