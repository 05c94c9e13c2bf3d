"""CPU use: the cores used by each part of a system, and by other programs.

Linux only: elsewhere nothing is measured, and the report leaves it out.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Final

PROC: Final = Path("/proc")
HERTZ: Final = os.sysconf("SC_CLK_TCK")
CORES: Final = os.cpu_count() or 1
IDLE, WAITING, STOLEN = 3, 4, 7  # columns of the first line of /proc/stat
SATURATED: Final = 0.9
MAX_DISTURBANCE: Final = 0.15  # cores
POLL_INTERVAL: Final = 0.5  # seconds
MAX_IDLE_USE: Final = 0.2  # cores

Cores = dict[str, float]


class CpuMeter:
    """Measures from its creation on; each part is a process with all its descendants.

    This process, which may send requests, is the part `generator`.
    """

    def __init__(self, parts: Mapping[str, int]) -> None:
        self._parts = dict(parts)
        self._began = monotonic()
        self._before = self._seconds()

    def read(self) -> Cores:
        """Return the cores used by each part since the beginning, by `others`, and left `idle`."""
        after, passed = self._seconds(), monotonic() - self._began
        used = {name: (after[name] - self._before[name]) / passed for name in after}
        if "busy" in used:
            busy = used.pop("busy")
            used["others"] = max(0.0, busy - sum(used.values()))
            used["idle"] = max(0.0, CORES - busy)
        return {name: round(cores, 2) for name, cores in used.items()}

    def _seconds(self) -> dict[str, float]:
        if not (PROC / "stat").exists():
            return {}
        children = _children()
        seconds = {name: sum(_seconds(children, pid)) for name, pid in self._parts.items()}
        seconds["generator"] = process_time()
        first = (PROC / "stat").read_text().splitlines()[0]
        columns = [int(column) for column in first.split()[1:9]]
        return seconds | {"busy": (sum(columns) - columns[IDLE] - columns[WAITING]) / HERTZ}


def wait_until_idle(parts: Mapping[str, int], patience: float) -> None:
    """Wait until a system has no backlog: until it is idle, or `patience` seconds have passed."""
    deadline = monotonic() + patience
    while monotonic() < deadline:
        meter = CpuMeter(parts)
        sleep(POLL_INTERVAL)
        if sum(meter.read().get(name, 0.0) for name in parts) < MAX_IDLE_USE:
            return


def bottleneck(used: Cores) -> str:
    """Return the resource that limited a system."""
    if not used:
        return "not known on this platform"
    parts = {name: cores for name, cores in used.items() if name not in {"idle", "others"}}
    most = sorted(parts.items(), key=lambda part: -part[1])
    shares = ", ".join(f"{name} {cores:.2f}" for name, cores in most if cores >= 0.05)
    disturbed = f"; other programs took {used['others']:.2f}"
    suffix = disturbed if used["others"] > MAX_DISTURBANCE else ""
    return f"{_kind(used, most[0])} ({shares}{suffix})"


def _kind(used: Cores, largest: tuple[str, float]) -> str:
    if used["idle"] <= (1 - SATURATED) * CORES:
        return f"all {CORES} cores"
    if largest[1] >= SATURATED:
        return f"one core, of {largest[0]}"
    return "waiting, for the disk or for each other"


def memory(pid: int) -> float:
    """Return the memory of a process and its descendants in MiB; what they share counts once."""
    sizes = (_text(one / "smaps_rollup") for one in _tree(_children(), pid))
    found = (re.search(r"^Pss:\s+(\d+) kB", size, re.MULTILINE) for size in sizes)
    return round(sum(int(one[1]) for one in found if one) / 1024, 1)


def peak_memory(pid: int) -> float:
    """Return the most memory that a process has had so far, without its descendants, in MiB."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", _text(PROC / str(pid) / "status"), re.MULTILINE)
    return round(int(found[1]) / 1024, 1) if found else 0.0


def _children() -> dict[int, list[int]]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in PROC.glob("[0-9]*"):
        if fields := _stat(folder):
            children[int(fields[1])].append(int(folder.name))
    return children


def _tree(children: Mapping[int, list[int]], pid: int) -> Iterator[Path]:
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        if _stat(PROC / str(one)):
            yield PROC / str(one)


def _seconds(children: Mapping[int, list[int]], pid: int) -> Iterator[float]:
    """Each process's own time, and that of its children which have ended."""
    for folder in _tree(children, pid):
        yield sum(map(int, _stat(folder)[11:15])) / HERTZ


def _stat(folder: Path) -> list[str]:
    """The fields after the name, which may hold anything; none of a process that has ended."""
    return _text(folder / "stat").rpartition(")")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
