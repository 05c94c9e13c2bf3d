"""Topic exchanges: which routing keys a binding key matches."""


def topic_matches(binding_key: str, routing_key: str) -> bool:
    """Tell whether the binding key of a topic exchange matches the routing key.

    Both are words separated by dots, and a word may be empty. In a binding key `*` stands for
    exactly one word, and `#` for any number of words, zero included.
    """
    words = _words(routing_key)
    # How many words of the routing key the patterns up to here can stand for.
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
    """Split the key. The empty key has no words, not one empty word."""
    return key.split(".") if key else []
