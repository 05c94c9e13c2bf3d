"""API keys: made once, kept as hashes, found again by nothing but the key."""

from hashlib import sha256

import pytest

from shared.access.caller import Scope
from shared.access.keys import KEY_PREFIX, key_line, new_key, parse_keys
from shared.errors import CannotStart


def digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def test_a_key_is_known_by_its_hash_alone() -> None:
    key = new_key()
    line = key_line(key, "backend", [Scope.WRITE, Scope.READ])

    caller = parse_keys(line).caller(digest(key))

    assert key not in line
    assert key.removeprefix(KEY_PREFIX) not in line
    assert caller is not None
    assert (caller.name, caller.scopes) == ("backend", frozenset({Scope.WRITE, Scope.READ}))
    assert parse_keys(line).caller(digest(new_key())) is None


def test_no_two_keys_are_the_same_and_none_can_be_guessed() -> None:
    keys = {new_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert min(len(key) for key in keys) >= len(KEY_PREFIX) + 43  # 256 bits in base64


def test_keys_stand_in_lines_or_between_semicolons_beside_comments() -> None:
    one, two, three = new_key(), new_key(), new_key()
    lines = [
        key_line(key, name, [Scope.READ]) for key, name in ((one, "a"), (two, "b"), (three, "c"))
    ]

    keys = parse_keys(f"# of the backend\n{lines[0]};{lines[1]}\n\n  {lines[2]}  \n")

    assert [
        caller and caller.name for caller in map(keys.caller, map(digest, (one, two, three)))
    ] == [
        "a",
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("upnext_secret", "key 1 is not like"),
        ("backend watches:write sha256:12", "key 1 is not like"),
        (f"backend watches:read sha256:{'0' * 64}", "the scopes are watches:write"),
        (f"a admin sha256:{'0' * 64}\na admin sha256:{'1' * 64}", "a: a name stands for one key"),
    ],
)
def test_a_line_that_is_no_key_ends_the_start_and_is_not_shown(text: str, why: str) -> None:
    with pytest.raises(CannotStart, match=why) as refusal:
        parse_keys(text)

    assert "secret" not in str(refusal.value)
