"""Results: medians over the rounds, and ratios between the product and the others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks.harness.cpu import Cores, bottleneck

Figures = dict[str, dict[str, dict[str, Any]]]  # by system, then by level

PRODUCT: Final = "upnext"
SUMMED: Final = frozenset({"refused", "lost"})  # failures: summed over the rounds


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of one run: `rate`, and others measured with it."""

    figures: Mapping[str, float]
    cores: Cores = field(default_factory=dict)


class Results:
    """Collects the measurements and checks of all rounds."""

    def __init__(self) -> None:
        self._measured: defaultdict[str, defaultdict[str, list[Measurement]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._verified: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)

    def add(self, system: str, level: object, measured: Measurement) -> None:
        """Add the measurement of one run."""
        self._measured[system][str(level)].append(measured)

    def add_check(self, system: str, verified: Mapping[str, Any]) -> None:
        """Add what was verified after a run."""
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
        """Return the checks over all rounds: sums, and whether every round was complete."""
        return {system: _joined(rounds) for system, rounds in self._verified.items()}


def summary(rounds: Sequence[Measurement]) -> dict[str, Any]:
    """Return the median of each figure, the rates of all rounds, and the bottleneck."""
    cores = {name: _median([one.cores[name] for one in rounds]) for name in rounds[0].cores}
    values = {name: [one.figures[name] for one in rounds] for name in rounds[0].figures}
    return {
        **{name: sum(all_) if name in SUMMED else _median(all_) for name, all_ in values.items()},
        "rates": [round(rate, 1) for rate in values["rate"]],
        "cores": cores,
        "limit": bottleneck(cores),
    }


def ratios(figures: Mapping[str, Mapping[str, Mapping[str, Any]]], level: str) -> dict[str, float]:
    """Return the product's rate divided by that of each other system, at one level."""
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
