"""Load generator: wrk, which uses little of the processor that it shares with the system.

It is a closed loop: each connection sends its next request once the last is answered. Its latencies
are corrected for coordinated omission.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.harness.cpu import Cores, CpuMeter
from benchmarks.harness.results import Measurement
from shared.errors import CannotStart
from tests.infrastructure import ServiceMissing
from tests.infrastructure.packages import install

USERS: Final = 20_000
LESSONS: Final = 2_000
TIMEOUT: Final = 30  # seconds that an answer may take

DONE: Final = """
function done(summary, latency, requests)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\\n{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "refused": %d, "lost": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status, lost))
end
"""

# Each watch has a position of its own, so that it can be found again. Some lessons are watched
# much more often than others.
WATCH_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local number
function init(args)
  number = tonumber(args[1])
  math.randomseed(number)
end
function request()
  number = number + 1
  local lesson = math.floor(math.random() ^ 2 * LESSONS) + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"user_id": %d, "lesson_id": %d, "position": %d}', math.random(USERS), lesson, number))
end
"""

BATCH_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local number
function init(args)
  number = tonumber(args[1])
  math.randomseed(number)
end
function request()
  local items = {}
  for place = 1, EACH do
    number = number + 1
    local lesson = math.floor(math.random() ^ 2 * LESSONS) + 1
    items[place] = string.format(
      '{"user_id": %d, "lesson_id": %d, "position": %d}', math.random(USERS), lesson, number)
  end
  return wrk.format(nil, nil, nil, '{"items": [' .. table.concat(items, ", ") .. ']}')
end
"""

READ_SCRIPT: Final = """
function init(args)
  math.randomseed(tonumber(args[1]))
end
function request()
  return wrk.format("GET", string.format("/users/%d/recommendations", math.random(USERS)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """A load: the script, its connections and its duration."""

    script: str
    connections: int
    seconds: int
    first: int = 1  # number of the first request, and the seed
    users: int = USERS
    each: int = 1  # watches in a request


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a load."""

    answered: int  # requests with a status below 400, or the watches in them
    lost: int  # without an answer
    measured: Measurement


def run_load(url: str, load: Load, parts: Mapping[str, int]) -> LoadResult:
    """Send the load to the URL, and measure the CPU use of the processes in `parts`."""
    with TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        sizes = f"local USERS, LESSONS, EACH = {load.users}, {LESSONS}, {load.each}\n"
        script.write_text(sizes + load.script + DONE)
        command = [_wrk(), "--threads", "1", "--connections", str(load.connections)]
        command += ["--duration", f"{load.seconds}s", "--timeout", f"{TIMEOUT}s"]
        command += ["--script", str(script), url, "--", str(load.first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            meter = CpuMeter({**parts, "wrk": process.pid})
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            output = process.stdout.read()
            cores = meter.read()
    return _sent(output, load.each, cores)


def _sent(output: str, each: int, cores: Cores) -> LoadResult:
    last = output.strip().splitlines()[-1:] or [""]
    if not last[0].startswith("{"):
        raise CannotStart(f"wrk did not end as expected: {last[0]!r}")
    found = json.loads(last[0])
    answered = (found["requests"] - found["refused"]) * each
    figures = {"rate": answered / found["seconds"]}
    figures |= {name: found[name] for name in ("p50_ms", "p99_ms", "refused", "lost")}
    return LoadResult(answered, found["lost"], Measurement(figures, cores))


def wrk_version() -> str:
    """Return the version of wrk."""
    said = subprocess.run([_wrk(), "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition(" [")[0].removeprefix("wrk ").strip()


def _wrk() -> str:
    if found := shutil.which("wrk"):
        return found
    try:
        install("wrk")
    except ServiceMissing:
        raise CannotStart(
            "The load generator wrk is missing: install it (on Debian: apt-get install wrk)."
        ) from None
    return shutil.which("wrk") or "wrk"
