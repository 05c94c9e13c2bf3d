"""Keys, tokens, rights and pace, without a service."""
