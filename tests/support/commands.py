"""Commands that a test runs to their end, with a deadline."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

COMMAND_TIMEOUT: Final = 500.0  # seconds, less than a test may take


def run_command(
    command: Sequence[str | Path], *, check: bool = False, **options: Any
) -> "subprocess.CompletedProcess[Any]":
    """Run the command, with the options of `subprocess.run`."""
    return subprocess.run(command, check=check, timeout=COMMAND_TIMEOUT, **options)
