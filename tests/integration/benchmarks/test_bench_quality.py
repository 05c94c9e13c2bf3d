"""`make bench-quality`, run as people run it, on a small stream made here."""

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.quality_candidates import chosen_candidates
from benchmarks.quality_stream import questions, read
from tests.support.commands import run_command
from tests.support.repository import ROOT
from tests.support.watch_files import a_file

USERS: Final = 25
LESSONS: Final = 40
LENGTH: Final = 16  # watches of each user
START: Final = 1_500_000_000  # seconds since 1970
FIGURES: Final = {"ndcg@10", "hit@10", "coverage", "cold_start", "learn_us", "recommend_us"}
ALWAYS: Final = {"upnext", "popular", "popular, decayed by day", "item-kNN", "EASE", "reference"}
WHERE_INSTALLED: Final = {"ALS", "BPR"}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users who start anywhere and follow the order of the lessons, with a few detours."""
    chance = random.Random(1)  # noqa: S311
    rows = []
    for user in range(USERS):
        at, lesson = START + 40_000 * user, chance.randrange(LESSONS)
        for _ in range(LENGTH):
            lesson = (lesson + chance.choice((1, 1, 1, 2))) % LESSONS
            rows.append((at, f"{user},{lesson},{at},{chance.choice((3, 60, 100))}"))
            at += chance.randrange(60, 9000)
    rows.sort()
    folder = tmp_path_factory.mktemp("stream")
    header = "learner,item_id,timestamp,watch_percentage"
    return a_file(folder / "watches.csv", [row for _, row in rows], header)


def bench(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.quality", *map(str, arguments)]
    return run_command(command, cwd=ROOT, capture_output=True, text=True, check=False)


def found(*arguments: object) -> dict[str, Any]:
    done = bench(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def are_shares(figures: Mapping[str, float]) -> bool:
    return all(0 <= figures[name] <= 1 for name in ("ndcg@10", "hit@10", "coverage"))


def test_every_recommender_answers_the_same_questions(stream: Path) -> None:
    answer = found(stream, "--through-product", 0)

    about = answer.pop("about")
    compared = answer
    assert about["watches"] == USERS * LENGTH
    assert 0 < about["questions"] < USERS * LENGTH
    assert set(compared) | set(about["left_out"]) == ALWAYS | WHERE_INSTALLED
    assert set(about["left_out"]) in (set(), WHERE_INSTALLED)
    assert [name for name, one in compared.items() if not set(one) >= FIGURES] == []
    assert [name for name, one in compared.items() if not are_shares(one)] == []
    assert compared["upnext"]["ndcg@10"] > compared["popular"]["ndcg@10"]
    low, high = compared["upnext"]["interval"]
    assert low <= compared["upnext"]["ndcg@10"] <= high
    assert "through_product" not in about


@pytest.mark.usefixtures("postgres_url", "amqp_url")  # instead of servers of its own
def test_the_product_recommends_what_its_model_does(stream: Path) -> None:
    answer = found(stream, "--only", "upnext", "--through-product", 100)

    through = answer["about"]["through_product"]
    assert through["on"] == "PostgreSQL and RabbitMQ"
    assert through["questions"] > 0
    assert through["same_lists"] == 1
    assert through["product"]["ndcg@10"] == through["in_memory_as_of_latest"]["ndcg@10"]
    assert through["agrees"] is True
    assert through["live"]["events"] == through["live_in_memory"]["events"]


def test_it_says_what_each_part_of_the_model_adds(stream: Path) -> None:
    variants = found(stream, "--limit", 200, "--ablation")

    assert set(variants["whole"]) < set(variants["without path of three"])
    assert variants["counted by the part watched"]["ndcg@10"] > 0
    assert variants["weights as shipped"]["difference"] != 0


def test_it_says_what_robots_spoil(stream: Path) -> None:
    variants = found(stream, "--limit", 200, "--robots")
    del variants["about"]

    assert "difference" not in variants.pop("no robots")
    assert {"1 robot, by id", "50 robots, at random", "one heavy user"} < set(variants)
    assert [name for name, one in variants.items() if len(one["difference_interval"]) != 2] == []


def test_it_says_what_scoring_candidates_loses(stream: Path) -> None:
    watches = read(stream, {"user": "learner", "lesson": None, "time": None})
    said: list[str] = []

    answers = chosen_candidates(watches, questions(watches), said.append, many=3 * LESSONS)

    everything, few, everything_of_many, many = answers.values()
    assert next(iter(answers)) == f"{LESSONS} lessons, all scored"
    assert list(answers)[-1] == f"{3 * LESSONS} lessons, candidates"
    assert len(said) == 2
    # So few lessons are all candidates, whichever way they are chosen.
    assert few["ndcg@10"] == everything["ndcg@10"]
    assert many["ndcg@10"] == everything_of_many["ndcg@10"]
    assert few["loss"] == many["loss"] == 0


def test_the_table_has_a_line_for_each_recommender(stream: Path) -> None:
    done = bench(stream, "--limit", 200, "--through-product", 0)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "ndcg@10" in lines[2]
    assert [name for name in ALWAYS if not any(line.startswith(name) for line in lines)] == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("user,when\n1,2\n", "No column is the lesson"),
        ("user,lesson,time\n1,2,soon\n", "Line 2 cannot be read: 'soon' is not a time."),
        ("user,lesson,time\n1,2,3\n", "Of 1 watches nothing can be said"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_sentence(
    tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "watches.csv"
    file.write_text(content)

    done = bench(file)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv.gz"

    assert bench(missing).stderr == f"Cannot read {missing}: No such file or directory.\n"
