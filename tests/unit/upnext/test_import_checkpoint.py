"""An import resumes at its checkpoint, wherever the last run crashed."""

from contextlib import nullcontext
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from shared.errors import CannotStart
from upnext.import_watches.checkpoint import Checkpoint, CheckpointFile, RejectedFile
from upnext.import_watches.outcomes import Counts, Outcomes
from upnext.import_watches.source import Row
from upnext.post_batches import ItemResult

LAST: Final = 12  # number of the last row
BATCH: Final = 3  # rows
REFUSED: Final = ItemResult(422, "it is odd")

numbers = st.integers(1, LAST)


class Crash(Exception):
    """The process ends here."""


class CrashingFile(CheckpointFile):
    """Crashes before a checkpoint is saved."""

    @override
    def save(self, checkpoint: Checkpoint) -> None:
        raise Crash


def row(number: int) -> Row:
    return Row(number, number + 1, [str(number)], b"{}", b"key")


def rejected_file(folder: Path) -> Path:
    return folder / "rejected.csv"


def resume(folder: Path, kind: type[CheckpointFile] = CheckpointFile) -> Outcomes:
    file = kind(folder, "content")
    start = file.load()
    return Outcomes(file, RejectedFile(rejected_file(folder), ["n"], start.rejected_bytes), start)


def refused_rows(folder: Path) -> list[int]:
    path = rejected_file(folder)
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return [int(line.partition(",")[0]) for line in lines]


def send(outcomes: Outcomes, refused: frozenset[int], random: Random, steps: int) -> set[int]:
    """Begin, answer and save by chance, for so many steps; return the rows that were answered."""
    begun, answered, in_flight = outcomes.counts.done, set(), list[int]()
    for _ in range(steps):
        if begun < LAST and (not in_flight or random.random() < 0.4):
            batch = range(begun + 1, min(begun + BATCH, LAST) + 1)
            for number in batch:
                outcomes.begin(row(number))
            in_flight += batch
            begun = batch[-1]
        elif in_flight:
            number = in_flight.pop(random.randrange(len(in_flight)))
            outcomes.complete(
                row(number), REFUSED if number in refused else ItemResult(random.choice([200, 201]))
            )
            answered.add(number)
        if random.random() < 0.3:
            outcomes.save_checkpoint()
    return answered


@given(
    refused=st.frozensets(numbers),
    random=st.builds(Random, st.integers(0, 2**32)),
    crashes=st.lists(st.tuples(st.integers(0, 2 * LAST), st.booleans()), max_size=3),
)
def test_each_row_is_answered_and_each_refused_row_is_kept_once(
    refused: frozenset[int], random: Random, crashes: list[tuple[int, bool]]
) -> None:
    with TemporaryDirectory() as name:
        folder, answered = Path(name), set[int]()
        for steps, while_saving in crashes:
            run = resume(folder, CrashingFile if while_saving else CheckpointFile)
            assert answered >= set(range(1, run.counts.done + 1))
            try:
                answered |= send(run, refused, random, steps)
            except Crash:
                continue

        last = resume(folder)
        answered |= send(last, refused, random, 10 * LAST)
        last.save_checkpoint()

        assert answered >= set(range(1, last.counts.done + 1)) == set(range(1, LAST + 1))
        assert last.counts.refused == len(refused)
        assert refused_rows(folder) == sorted(refused)


def test_a_checkpoint_covers_the_rows_before_the_first_that_is_not_answered(tmp_path: Path) -> None:
    outcomes, file = resume(tmp_path), CheckpointFile(tmp_path, "content")
    for number in (1, 2, 3, 4):
        outcomes.begin(row(number))

    outcomes.complete(row(3), REFUSED)
    outcomes.complete(row(1), ItemResult(201))
    outcomes.save_checkpoint()

    assert file.load() == Checkpoint(rows=1)
    assert outcomes.counts == Counts(done=2, sent=2, recorded=1, refused=1)

    outcomes.complete(row(2), ItemResult(200))
    outcomes.save_checkpoint()

    size = rejected_file(tmp_path).stat().st_size
    assert file.load() == Checkpoint(rows=3, refused=1, rejected_bytes=size)
    assert outcomes.counts == Counts(done=3, sent=3, recorded=1, duplicates=1, refused=1)


@pytest.mark.parametrize("saved", [0, 1, 2])
def test_refused_rows_after_the_checkpoint_are_cut_off(tmp_path: Path, saved: int) -> None:
    for number in range(1, saved + 2):
        outcomes = resume(tmp_path, CheckpointFile if number <= saved else CrashingFile)
        outcomes.begin(row(number))
        outcomes.complete(row(number), REFUSED)
        with pytest.raises(Crash) if number > saved else nullcontext():
            outcomes.save_checkpoint()
    assert refused_rows(tmp_path) == list(range(1, saved + 2))

    assert resume(tmp_path).counts == Counts(done=saved, refused=saved)
    assert refused_rows(tmp_path) == list(range(1, saved + 1))


def test_a_crash_while_a_checkpoint_is_written_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, saved = CheckpointFile(tmp_path, "content"), Checkpoint(7, 2, 40)
    file.save(saved)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(CannotStart, match=r"Cannot write .*: No space left on device\."):
            file.save(Checkpoint(8, 2, 40))

    assert file.load() == saved


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rows": 3, "lines": 4}', "\udcff"])
def test_a_damaged_checkpoint_is_the_start_of_the_file(tmp_path: Path, content: str) -> None:
    file = CheckpointFile(tmp_path, "content")
    file.save(Checkpoint(3))
    (saved,) = tmp_path.iterdir()
    saved.write_text(content, errors="surrogateescape")

    assert file.load() == Checkpoint()


def test_each_content_mapping_and_address_has_its_own_checkpoint(tmp_path: Path) -> None:
    file, other = CheckpointFile(tmp_path, "content", "a"), CheckpointFile(tmp_path, "content", "b")
    file.save(Checkpoint(3))

    assert other.load() == Checkpoint()
    assert CheckpointFile(tmp_path, "content", "a").load() == Checkpoint(3)

    file.delete()
    file.delete()
    assert file.load() == Checkpoint()
