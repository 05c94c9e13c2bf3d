"""Figures: medians over the rounds, and how the product compares."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks.harness.processor import Cores, limit

Figures = dict[str, dict[str, dict[str, Any]]]  # by system, then by level

PRODUCT: Final = "upnext"
SUMMED: Final = frozenset({"refused", "lost"})  # what should not happen, in any round


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run came to: `rate`, and whatever else was measured with it."""

    figures: Mapping[str, float]
    cores: Cores = field(default_factory=dict)


class Turns:
    """What the rounds measured and found, until they are summed up."""

    def __init__(self) -> None:
        self._measured: defaultdict[str, defaultdict[str, list[Measured]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._verified: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)

    def note(self, system: str, level: object, measured: Measured) -> None:
        """Keep what one run came to."""
        self._measured[system][str(level)].append(measured)

    def check(self, system: str, verified: Mapping[str, Any]) -> None:
        """Keep what was found after a turn."""
        self._verified[system].append(verified)

    @property
    def figures(self) -> Figures:
        """Return the medians."""
        return {
            system: {level: summary(rounds) for level, rounds in levels.items()}
            for system, levels in self._measured.items()
        }

    @property
    def verified(self) -> dict[str, dict[str, Any]]:
        """Return what was found over all rounds: sums, and whether every round was complete."""
        return {system: _joined(rounds) for system, rounds in self._verified.items()}


def summary(rounds: Sequence[Measured]) -> dict[str, Any]:
    """Return the median of each figure, the rates of all rounds, and what limits them."""
    cores = {name: _median([one.cores[name] for one in rounds]) for name in rounds[0].cores}
    values = {name: [one.figures[name] for one in rounds] for name in rounds[0].figures}
    return {
        **{name: sum(all_) if name in SUMMED else _median(all_) for name, all_ in values.items()},
        "rates": [round(rate, 1) for rate in values["rate"]],
        "cores": cores,
        "limit": limit(cores),
    }


def ratios(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], level: str) -> dict[str, float]:
    """Return the product's rate divided by everybody else's, at one level."""
    rates = {system: levels[level]["rate"] for system, levels in figures.items() if level in levels}
    own = rates.pop(PRODUCT, None)
    if own is None:
        return {}
    return {system: round(own / rate, 3) for system, rate in rates.items() if rate}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _median(values: Sequence[float]) -> float:
    return round(median(values), 2)


def _joined(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for name, value in rounds[0].items():
        if isinstance(value, bool):
            whole[name] = all(one[name] for one in rounds)
        else:
            whole[name] = None if value is None else sum(one[name] for one in rounds)
    return whole
