"""Fingerprint: one number for everything learned, whatever the order of learning.

A homomorphic hash of a multiset (Bellare and Micciancio, 1997): the sum of the hashes of its
members. Adding or removing a contribution is one addition or subtraction. It finds mistakes, but
does not protect against contributions that are constructed to collide.
"""

from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct
from typing import Final

from recommendation_service.model.history import WINDOW, Contribution

BITS: Final = 128
MODULUS: Final = 2**BITS
ABSENT: Final = -1  # in place of a missing lesson; lesson ids are never negative

_LAYOUT: Final = Struct(f"<qdq{WINDOW}q")  # 104 bytes: a single block of BLAKE2b
_PADDING: Final = tuple((ABSENT,) * (WINDOW - length) for length in range(WINDOW + 1))


def fingerprint(contributions: Iterable[Contribution]) -> int:
    """The sum, modulo 2^128, of the hashes of the contributions."""
    return sum(map(fingerprint_of, contributions)) % MODULUS


def fingerprint_of(contribution: Contribution) -> int:
    """The hash of one contribution: the same in every process and on every machine."""
    lesson_id, at, preceding, in_session = contribution
    pause = ABSENT if in_session is None else int(in_session)
    packed = _LAYOUT.pack(lesson_id, at, pause, *preceding, *_PADDING[len(preceding)])
    return _hash(packed)


def fingerprint_of_packed(packed: bytes) -> int:
    """The fingerprint of many contributions, packed one after the other."""
    starts = range(0, len(packed), _LAYOUT.size)
    return sum(_hash(packed[start : start + _LAYOUT.size]) for start in starts) % MODULUS


def _hash(packed: bytes) -> int:
    return int.from_bytes(blake2b(packed, digest_size=BITS // 8).digest(), "little")
