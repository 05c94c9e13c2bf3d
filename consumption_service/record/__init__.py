"""Recording: only this folder writes watches and inserts their outbox rows, in one transaction."""
