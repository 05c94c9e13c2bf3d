"""Publishing: only this folder publishes events, and only what is committed in the outbox."""
