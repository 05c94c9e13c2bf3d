"""Quality text: the figures as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

Rows = dict[str, Mapping[str, Any]]

COLUMNS = {
    "questions": "questions",
    "ndcg@10": "ndcg@10",
    "interval": "95 % interval",
    "hit@10": "hit@10",
    "coverage": "coverage",
    "cold_start": "cold ndcg",
    "learn_us": "learn µs",
    "recommend_us": "recommend µs",
    "difference": "difference",
    "difference_interval": "95 % interval",
    "loss": "loss",
    "ndcg_watched": "of >= 10 %",
    "difference_watched": "difference",
    "difference_watched_interval": "95 % interval",
}


def text_of(found: Mapping[str, Any]) -> str:
    """A heading, one table, and notes."""
    heading = (
        f"{found['watches']:,} watches of {found['lessons']:,} lessons by {found['users']:,} users;"
        f" {found['questions']:,} are predicted, and {found['cold_questions']:,} first ones"
    )
    rows: Rows = {**found.get("recommenders", {}), **found.get("variants", {})}
    notes = [f"{name} is left out: {why}" for name, why in found.get("left_out", {}).items()]
    if "through_product" in found:
        rows |= _product_rows(found["through_product"])
        notes.append(_agreement(found["through_product"]))
    return "\n".join([heading, "", *_table(rows), *([""] if notes else []), *notes])


def _product_rows(part: Mapping[str, Any]) -> Rows:
    first, live = f"first {part['watches']:,}", part["live"]
    return {
        f"{first}: upnext": part["in_memory"],
        f"{first}: as of the latest": part["in_memory_as_of_latest"],
        f"{first}: the product": part["product"],
        f"{first}: all, in memory": part["live_in_memory"],
        f"{first}: all, /evaluation": live["upnext"],
        f"{first}: all, popular there": live["popular"],
    }


def _agreement(part: Mapping[str, Any]) -> str:
    live = part["live"]
    return (
        f"On {part['on']}, the product {_verb(agrees=part['agrees'])} with its model in memory"
        f" within the interval; {part['same_lists']:.1%} of {part['questions']:,} lists are the"
        f" same. Its own evaluation of {live['evaluated']:,} out of {live['events']:,} watches"
        f" {_verb(agrees=part['live_agrees'])}."
    )


def _verb(*, agrees: bool) -> str:
    return "agrees" if agrees else "does NOT agree"


def _table(rows: Rows) -> Iterator[str]:
    columns = [name for name in COLUMNS if any(name in row for row in rows.values())]
    cells = [["", *(COLUMNS[name] for name in columns)]]
    cells += [[name, *(_cell(row.get(column)) for column in columns)] for name, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        yield "   ".join([f"{line[0]:{widths[0]}}", *padded]).rstrip()


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) > 1 else f"{value:.4f}"
    return "" if value is None else str(value)
