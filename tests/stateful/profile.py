"""How long the machines run: shortly in every test run, and for minutes with `CHAOS=1`."""

import os
from collections.abc import Callable
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

QUICK: Final = settings(
    # Each run uses some of the rules only, so many short runs meet more than a few long ones.
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
LONG: Final = settings(QUICK, max_examples=100, stateful_step_count=40)
IS_LONG: Final = bool(os.environ.get("CHAOS"))
PROFILE: Final = LONG if IS_LONG else QUICK
TIMEOUT: Final = 3600 if IS_LONG else 600  # seconds; a failure takes a while to be made short


def run_machine(make: Callable[[], RuleBasedStateMachine]) -> None:
    """Run machines, each made anew, and tell the shortest steps to a failure."""
    run_state_machine_as_test(make, settings=PROFILE)  # type: ignore[arg-type]  # no class needed
