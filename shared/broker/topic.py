"""Which routing keys a binding key of a topic exchange means."""


def matches(binding_key: str, routing_key: str) -> bool:
    """Tell whether a topic exchange routes the routing key by this binding key.

    Both are words between dots, and a word may be empty. In a binding key `*` stands for exactly
    one word, and `#` for any number of words, none included.
    """
    words = _words(routing_key)
    # How many words of the routing key the pattern, as far as it was read, can stand for.
    reached = {0}
    for pattern in _words(binding_key):
        if pattern == "#":
            reached = set(range(min(reached), len(words) + 1))
        else:
            reached = {
                count + 1
                for count in reached
                if count < len(words) and pattern in ("*", words[count])
            }
        if not reached:
            return False
    return len(words) in reached


def _words(key: str) -> list[str]:
    """Split the key; the empty one has no words at all, not one that is empty."""
    return key.split(".") if key else []
