"""Who asks, and what they may: keys, tokens, rights, a pace, and the gate that sees to it."""
