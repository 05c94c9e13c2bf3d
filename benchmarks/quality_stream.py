"""Quality stream: the watches of a file in time order, and which of them are predicted."""

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO, cast

import numpy as np

from shared.errors import CannotStart
from upnext.import_watches.rows import Columns, UnreadableRow, find_columns, parse_time

ASKED: Final = 20_000  # watches that are predicted, at most
SEED: Final = 1  # of the sample
PARTS: Final = ("watch_percentage", "percentage", "percent")  # columns; how much was watched
LONGEST: Final = 18  # digits of an id that is taken as it is


class Watch(NamedTuple):
    """A line of the file."""

    user: int
    lesson: int
    at: float  # seconds since 1970
    part: float = 1.0  # of the lesson that was watched, where the file says it


class Questions(NamedTuple):
    """Numbers of the watches to predict."""

    warm: set[int]  # of users with an earlier watch
    cold: set[int]  # of users without one


class Line(NamedTuple):
    """The cells that matter."""

    user: str
    lesson: str
    at: float
    part: float


def read(path: Path, named: Mapping[str, str | None]) -> list[Watch]:
    """The watches of a file, oldest first; in the order of the file at equal times.

    `named` is what the columns are called, where that is not usual. Raises `CannotStart`.
    """
    try:
        with _opened(path) as file:
            lines = list(_lines(file, named))
    except (OSError, EOFError, zlib.error) as error:
        raise CannotStart(f"Cannot read {path}: {_reason(error)}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise CannotStart(f"{path} is no CSV file in UTF-8.") from None
    users, lessons = _numbers(one.user for one in lines), _numbers(one.lesson for one in lines)
    both = zip(users, lessons, lines, strict=True)
    watches = [Watch(user, lesson, line.at, line.part) for user, lesson, line in both]
    return sorted(watches, key=lambda watch: watch.at)


def questions(watches: Sequence[Watch]) -> Questions:
    """Watches of the second half in which a user meets a lesson for the first time, sampled.

    Raises `CannotStart` if there are none.
    """
    earlier: defaultdict[int, set[int]] = defaultdict(set)
    warm: list[int] = []
    cold: set[int] = set()
    for number, watch in enumerate(watches):
        met = earlier[watch.user]
        if watch.lesson not in met and number >= len(watches) // 2:
            warm.append(number) if met else cold.add(number)
        met.add(watch.lesson)
    if not warm:
        raise CannotStart(
            f"Of {len(watches)} watches nothing can be said: no user of the second half came back."
        )
    if len(warm) > ASKED:
        chosen = np.random.default_rng(SEED).choice(np.array(warm), ASKED, replace=False)
        warm = chosen.tolist()
    return Questions(set(warm), cold)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, compressed or not."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", newline="", encoding="utf-8-sig") as file:
            yield cast("TextIO", file)
    else:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file


def _lines(file: TextIO, named: Mapping[str, str | None]) -> Iterator[Line]:
    reader = csv.reader(file)
    header = next(reader, [])
    columns = find_columns(header, named)
    part = next((header.index(name) for name in PARTS if name in header), None)
    for cells in reader:
        if cells:
            try:
                yield _line(cells, columns, part)
            except UnreadableRow as why:
                raise CannotStart(f"Line {reader.line_num} cannot be read: {why}.") from None


def _line(cells: Sequence[str], columns: Columns, part: int | None) -> Line:
    if len(cells) <= max(columns.user, columns.lesson, columns.time, part or 0):
        raise UnreadableRow(f"it has {len(cells)} columns only")
    user, lesson = cells[columns.user].strip(), cells[columns.lesson].strip()
    if not user or not lesson:
        raise UnreadableRow(f"it has no {'lesson' if user else 'user'}")
    at = parse_time(cells[columns.time]).timestamp()
    return Line(user, lesson, at, 1.0 if part is None else _share(cells[part]))


def _share(percentage: str) -> float:
    try:
        return float(percentage or 0) / 100
    except ValueError:
        raise UnreadableRow(f"{percentage!r} is not a percentage") from None


def _numbers(ids: Iterable[str]) -> list[int]:
    """Ids as integers: as they are, or else numbered by their first appearance."""
    listed = [one.removesuffix(".0") for one in ids]
    if all(one.isdecimal() and len(one) <= LONGEST for one in listed):
        return [int(one) for one in listed]
    order = {one: number for number, one in enumerate(dict.fromkeys(listed))}
    return [order[one] for one in listed]


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
