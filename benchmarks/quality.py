"""Quality: predict every watch before learning it, and compare with other recommenders.

    python -m benchmarks.quality DATA [--json] [--through-product WATCHES]
    python -m benchmarks.quality DATA [--json] --ablation | --candidates | --robots

DATA is a CSV file (or .csv.gz) with one watch per line. It is replayed in time order, ties in the
order of the file. For at most 20,000 sampled watches of its second half, those of a user with at
least one earlier watch who watches it for the first time, each recommender is asked for 10 lessons
BEFORE it learns the watch; the lesson watched is the only right answer, among all lessons the user
has not watched (sampled negatives contradict exact figures, Krichene and Rendle 2020). Cold start
is the same for users without any earlier watch. Nothing from the future is used.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.quality_ablation import ablation
from benchmarks.quality_candidates import chosen_candidates
from benchmarks.quality_measure import Figures, measure
from benchmarks.quality_peers import Peers, peers
from benchmarks.quality_product import through_product
from benchmarks.quality_robots import robots
from benchmarks.quality_stream import Questions, Watch, questions, read
from benchmarks.quality_text import text_of
from shared.errors import CannotStart

THROUGH_PRODUCT: Final = 6000  # watches, by default
OTHERS: Final = {  # other measurements of the product's model
    "ablation": (ablation, "what each part of it adds"),
    "candidates": (chosen_candidates, "what is lost by scoring candidates only"),
    "robots": (robots, "what users who watch everything spoil"),
}


def main() -> None:
    """Measure on a file, and print a table or one JSON object."""
    arguments = _arguments()
    try:
        named = {name: getattr(arguments, name) for name in ("user", "lesson", "time")}
        watches = read(arguments.data, named)[: arguments.limit]
        found = _found(arguments, watches, questions(watches))
    except CannotStart as error:
        sys.exit(str(error))
    print(json.dumps(_by_name(found), indent=2) if arguments.json else text_of(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--limit", type=int, help="only the first watches")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this recommender")
    parser.add_argument(
        "--through-product",
        type=int,
        default=THROUGH_PRODUCT,
        metavar="WATCHES",
        help="send the first watches through the running product too; 0: none",
    )
    other = parser.add_mutually_exclusive_group()
    for name, (_, text) in OTHERS.items():
        other.add_argument(f"--{name}", action="store_true", help=f"instead: {text}")
    for name in ("user", "lesson", "time"):
        parser.add_argument(f"--{name}", metavar="COLUMN", help=f"the column with the {name}")
    return parser.parse_args()


def _found(
    arguments: argparse.Namespace, watches: Sequence[Watch], asked: Questions
) -> dict[str, object]:
    stream: dict[str, object] = {
        "watches": len(watches),
        "users": len({watch.user for watch in watches}),
        "lessons": len({watch.lesson for watch in watches}),
        "questions": len(asked.warm),
        "cold_questions": len(asked.cold),
    }
    for name, (measured, _) in OTHERS.items():
        if getattr(arguments, name):
            return {"variants": measured(watches, asked, _log)} | stream
    compared, left_out = peers(watches)
    chosen = _chosen(compared, arguments.only)
    found = {"recommenders": _compare(chosen, watches, asked), "left_out": left_out} | stream
    if arguments.through_product > 0:
        first = watches[: arguments.through_product]
        found["through_product"] = through_product(first, _log)
    return found


def _by_name(found: dict[str, object]) -> dict[str, object]:
    """The figures of each recommender or variant by name, and the rest under `about`."""
    compared = {}
    for kind in ("recommenders", "variants"):
        compared |= found.pop(kind, {})  # type: ignore[operator]  # a mapping, where it is there
    return {**compared, "about": found}


def _chosen(compared: Peers, only: Sequence[str] | None) -> Peers:
    unknown = [name for name in only or () if name not in compared]
    if unknown:
        raise CannotStart(f"There is no recommender {unknown[0]!r}, only: {', '.join(compared)}.")
    return {name: compared[name] for name in only or compared}


def _compare(compared: Peers, watches: Sequence[Watch], asked: Questions) -> dict[str, Figures]:
    figures = {}
    for name, make in compared.items():
        began = perf_counter()
        figures[name] = measure(make(), watches, asked).figures
        _log(f"{name}: {perf_counter() - began:.0f} s")
    return figures


def _log(text: str) -> None:
    """Print progress to stderr, apart from the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
