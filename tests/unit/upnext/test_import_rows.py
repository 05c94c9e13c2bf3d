"""What a line of a file becomes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumption_service.api.schemas import NewWatch
from shared.errors import CannotStart
from shared.ids import MAX_INTEGER
from upnext.import_watches.rows import (
    Columns,
    UnreadableRow,
    find_columns,
    parse_time,
    watch_digest,
    watch_json,
)
from upnext.import_watches.source import Row, read_rows, scan

USUAL = Columns(user=0, lesson=1, position=2, time=3)
NOON = "2026-11-23T12:00:00Z"

ids = st.integers(0, MAX_INTEGER)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(
    datetime(1974, 1, 1),  # noqa: DTZ001 - the zone is the third argument
    datetime(2400, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


async def read(file: Path) -> list[Row]:
    return list(read_rows(file, await scan(file, {})))


def a_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@given(user=ids, lesson=ids, position=ids, time=times)
def test_a_line_becomes_what_the_service_takes(
    user: int, lesson: int, position: int, time: datetime
) -> None:
    cells = [str(user), str(lesson), str(position), time.isoformat()]

    watch = NewWatch.model_validate_json(watch_json(cells, USUAL))

    assert (watch.user_id, watch.lesson_id, watch.position) == (user, lesson, position)
    assert watch.occurred_at == time
    assert watch.duration is None


@given(time=times, offset=offsets)
def test_the_same_moment_is_the_same_however_it_is_written(
    time: datetime, offset: timezone
) -> None:
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)
    milliseconds = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    written = [
        time.isoformat(),
        time.isoformat().replace("+00:00", "Z"),
        time.astimezone(offset).isoformat(),
        f" {time.isoformat(sep=' ')} ",
        str(milliseconds),
        f"{milliseconds // 1000}.{milliseconds % 1000:03}",
    ]

    bodies = {watch_json(["1", "2", "3", text], USUAL) for text in written}
    assert len({watch_digest(body) for body in bodies}) == 1


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "9" * 30, "nan", "12:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRow, match="time"):
        parse_time(text)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(UnreadableRow, match="offset"):
        parse_time("2026-11-23T12:00:00")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["x", "2", "3", NOON], "the user 'x'"),
        (["1", "", "3", NOON], "the lesson ''"),
        (["1", "2", "3.5", NOON], "the position '3.5'"),
        (["1", "2", "3"], "3 columns only"),
    ],
)
def test_a_line_that_is_no_watch_says_why(cells: list[str], reason: str) -> None:
    with pytest.raises(UnreadableRow, match=reason):
        watch_json(cells, USUAL)


@pytest.mark.parametrize("text", ["", " ", "0", "0.0"])
def test_a_missing_position_is_the_start_of_the_lesson(text: str) -> None:
    assert json.loads(watch_json(["1", "2", text, NOON], USUAL))["position"] == 0


def test_usual_names_are_found() -> None:
    columns = find_columns(["rating", "Timestamp", "itemId", "USER ID"], {})

    assert columns == Columns(user=3, lesson=2, time=1)


def test_a_named_column_wins_over_a_usual_one() -> None:
    header = ["user_id", "member", "lesson_id", "time", "length", "position"]

    columns = find_columns(header, {"user": "member"})

    assert columns == Columns(user=1, lesson=2, time=3, position=5, duration=4)


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(CannotStart, match=r"No column is the lesson, of: who, when.*--lesson"):
        find_columns(["who", "when"], {"user": "who", "time": "when"})
    with pytest.raises(CannotStart, match="no column 'whom', only: who, when"):
        find_columns(["who", "when"], {"user": "whom"})


async def test_each_repetition_of_a_line_has_a_key_of_its_own(tmp_path: Path) -> None:
    lines = ["1,2,2026-11-23T12:00:00Z", "1,3,2026-11-23T12:00:00Z", "1,2,1795435200"]

    rows = await read(
        a_file(tmp_path / "file.csv", "\n".join(["user,lesson,time", *lines, lines[0]]))
    )

    assert rows[0].body == rows[2].body == rows[3].body
    assert len({row.key for row in rows}) == 4


async def test_the_key_says_nothing_of_the_file(tmp_path: Path) -> None:
    one = await read(a_file(tmp_path / "one.csv", f"user,lesson,time\n1,2,{NOON}\n5,6,{NOON}\n"))
    other = await read(
        a_file(tmp_path / "other.csv", f"time,item_id,user_id\n{NOON},9,9\n\n{NOON},2,1\n")
    )

    assert {row.key for row in one} & {row.key for row in other} == {one[0].key}
    assert other[1].key == one[0].key


async def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    text = f'user,lesson,time,note\n1,2,{NOON},"two\nlines"\n\nx,2,{NOON},\n'

    rows = await read(a_file(tmp_path / "file.csv", text))

    assert [(row.number, row.line) for row in rows] == [(1, 3), (2, 5)]
    assert not rows[1].body
    assert "the user 'x'" in rows[1].error


async def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = a_file(tmp_path / "file.csv", f"\ufeffuser_id,lesson,time\n1,2,{NOON}\n")

    assert len(await read(file)) == 1


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b not really", b"\n"])
async def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)

    with pytest.raises(CannotStart, match=r"file\.csv"):
        await scan(path, {})


async def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"Cannot read .*: No such file"):
        await scan(tmp_path / "absent.csv", {})
