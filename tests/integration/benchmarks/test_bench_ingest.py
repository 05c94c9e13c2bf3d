"""`make bench-ingest`, run as people run it, for a second on each system that is installed."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.ingest import SYSTEMS
from tests.support.commands import run_command
from tests.support.repository import ROOT

pytestmark = pytest.mark.usefixtures("wrk")

FIGURES: Final = {"rate", "p50_ms", "p99_ms", "rates", "cores", "limit"}
OWN: Final = {"upnext", "validate_only", "usual_handler"}  # these need nothing else
PEERS: Final = [system for system in SYSTEMS if system.name not in OWN]


def bench(folder: Path, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ingest", "--json", *map(str, arguments)]
    short = ["--rounds", "1", "--seconds", "1", "--connections", "8"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = run_command(
        [*command, *short],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_what_is_taken_is_measured_and_found_again(tmp_path: Path) -> None:
    found = bench(tmp_path, *(f"--only={name}" for name in sorted(OWN)))

    assert set(found["figures"]) == OWN
    assert [name for name, one in found["figures"].items() if not set(one["8"]) >= FIGURES] == []
    assert [name for name, one in found["figures"].items() if one["8"]["rate"] <= 0] == []
    assert set(found["batch"]["figures"]) == {"upnext"}
    assert found["batch"]["figures"]["upnext"]["rate"] > 0
    assert set(found["ratios_8"]) == OWN - {"upnext"}
    verified = found["verified"]
    assert verified["upnext"]["learned"] == verified["upnext"]["rows"]
    assert verified["upnext"]["answered"] > 0
    assert {name for name, one in verified.items() if one["complete"]} == OWN - {"validate_only"}
    assert found["left_out"] == {}
    assert found["machine"]["cores"] >= 1
    saved = tmp_path / "var" / "benchmarks"
    assert json.loads((saved / "ingest.json").read_text()) == found
    assert "### 8 connections" in (saved / "ingest.md").read_text()


@pytest.mark.parametrize("name", [system.name for system in PEERS])
def test_a_peer_is_measured_where_it_is_installed(tmp_path: Path, name: str) -> None:
    (system,) = (system for system in PEERS if system.name == name)
    if system.missing:
        pytest.skip(system.missing)

    found = bench(tmp_path, "--only", name)

    assert found["figures"][name]["8"]["rate"] > 0
    assert found["verified"][name]["complete"] is True
