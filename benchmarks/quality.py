"""Quality: predict every watch before learning it, and compare with simpler recommenders.

    python benchmarks/quality.py DATA [--json] [--limit EVENTS] [--only NAME]

DATA is a CSV file (or .csv.gz) with one watch per line: user_id; lesson_id or item_id; occurred_at
or timestamp, in seconds since 1970 or as RFC 3339. It is replayed in time order, ties in the order
of the file. For at most 20,000 sampled watches of its second half, those of a user with at least
one earlier watch who meets the lesson for the first time, each recommender is asked for 10 lessons
BEFORE it learns the watch; the lesson watched is the only right answer, among all lessons the user
has not met (sampled negatives contradict exact figures, Krichene and Rendle 2020). Cold start is
the same for users without any earlier watch. Nothing is random, nothing from the future is used.
"""

import argparse
import csv
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import log2
from pathlib import Path
from time import perf_counter
from typing import Final, TextIO, cast

import numpy as np

from benchmarks.quality_peers import RECOMMENDERS, Recommender, Watch

ASKED: Final = 20_000  # answers, at most
SEED: Final = 1  # of the sample

COLUMNS: Final = (("user_id",), ("lesson_id", "item_id"), ("occurred_at", "timestamp"))


class Asked:
    """The answers of a recommender to one kind of question."""

    def __init__(self) -> None:
        self.ranks: list[int] = []  # of the lesson that came; 0 if it was not recommended
        self.recommended: set[int] = set()

    def note(self, answer: list[int], lesson: int) -> None:
        """Keep what was recommended before the lesson came."""
        self.ranks.append(answer.index(lesson) + 1 if lesson in answer else 0)
        self.recommended.update(answer)

    @property
    def hit(self) -> float:
        """How often the lesson that came was recommended."""
        return float(np.mean(np.array(self.ranks) > 0)) if self.ranks else 0.0

    @property
    def ndcg(self) -> float:
        """Normalised discounted cumulative gain: 1 / log2(1 + rank) of the lesson that came."""
        gains = [1 / log2(1 + rank) if rank else 0.0 for rank in self.ranks]
        return float(np.mean(gains)) if gains else 0.0


def main() -> None:
    """Measure all recommenders on a file, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--limit", type=int, help="only the first watches of the file")
    parser.add_argument("--only", choices=RECOMMENDERS, help="only one recommender")
    arguments = parser.parse_args()
    watches = read(arguments.data)[: arguments.limit]
    names = [arguments.only] if arguments.only else list(RECOMMENDERS)
    figures = {name: measure(RECOMMENDERS[name](), watches) for name in names}
    print(json.dumps(figures, indent=2) if arguments.json else table(figures))


def read(path: Path) -> list[Watch]:
    """The watches of a file, oldest first; in the order of the file at equal times."""
    with opened(path) as lines:
        reader = csv.DictReader(lines)
        columns = [column(names, reader.fieldnames or []) for names in COLUMNS]
        rows = [[line[name] for name in columns] for line in reader]
    users, lessons = numbers(row[0] for row in rows), numbers(row[1] for row in rows)
    times = (seconds(row[2]) for row in rows)
    watches = map(Watch, users, lessons, times)
    return sorted(watches, key=lambda watch: watch.at)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The lines of a file, compressed or not."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", newline="", encoding="utf-8") as lines:
            yield cast("TextIO", lines)
    else:
        with path.open(newline="", encoding="utf-8") as lines:
            yield lines


def column(names: Sequence[str], present: Sequence[str]) -> str:
    """The name under which a file has a column."""
    found = [name for name in names if name in present]
    if not found:
        sys.exit(f"the file has no column {' or '.join(names)}")
    return found[0]


def numbers(ids: Iterable[str]) -> list[int]:
    """Ids as integers: as they are, or else numbered by their first appearance."""
    listed = list(ids)
    if all(one.isdecimal() for one in listed):
        return [int(one) for one in listed]
    order = {one: number for number, one in enumerate(dict.fromkeys(listed))}
    return [order[one] for one in listed]


def seconds(time: str) -> float:
    """Seconds since 1970, whichever way a file writes a time."""
    try:
        return float(time)
    except ValueError:
        return datetime.fromisoformat(time).timestamp()


def questions(watches: Sequence[Watch]) -> tuple[set[int], set[int]]:
    """Numbers of the watches to predict: of users with an earlier watch, and without one."""
    earlier: defaultdict[int, set[int]] = defaultdict(set)
    warm, cold = [], set()
    for number, watch in enumerate(watches):
        met = earlier[watch.user]
        if watch.lesson not in met and number >= len(watches) // 2:
            if met:
                warm.append(number)
            else:
                cold.add(number)
        met.add(watch.lesson)
    if len(warm) > ASKED:
        chosen = np.random.default_rng(SEED).choice(np.array(warm), ASKED, replace=False)
        warm = chosen.tolist()
    return set(warm), cold


def measure(recommender: Recommender, watches: Sequence[Watch]) -> dict[str, float]:
    """Replay the watches to a recommender, and say how well it predicted."""
    warm, cold = questions(watches)
    answers, cold_answers = Asked(), Asked()
    seen: set[tuple[int, int]] = set()
    spent = {"learn": 0.0, "recommend": 0.0}
    for number, watch in enumerate(watches):
        if number in warm or number in cold:
            began = perf_counter()
            answer = recommender.recommend(watch.user, watch.at)
            spent["recommend"] += perf_counter() - began
            (answers if number in warm else cold_answers).note(answer, watch.lesson)
        if (watch.user, watch.lesson) not in seen:
            seen.add((watch.user, watch.lesson))
            began = perf_counter()
            recommender.learn(watch)
            spent["learn"] += perf_counter() - began
    return {
        "ndcg@10": round(answers.ndcg, 4),
        "hit@10": round(answers.hit, 4),
        "coverage": round(len(answers.recommended) / len({lesson for _, lesson in seen}), 4),
        "cold_start": round(cold_answers.ndcg, 4),
        "learn_us": round(1e6 * spent["learn"] / len(seen), 1),
        "recommend_us": round(1e6 * spent["recommend"] / max(len(warm) + len(cold), 1), 1),
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures, a line for each recommender."""
    head = next(iter(figures.values()))
    lines = ["".join([f"{'':25}", *(f"{name:>14}" for name in head)])]
    for name, values in figures.items():
        lines.append("".join([f"{name:25}", *(f"{value:14}" for value in values.values())]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
