"""A private server: a child process with a throw-away folder, never root, never left behind."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.infrastructure.guard import Guard
from tests.infrastructure.server import ServiceMissing, wait_until

MEMORY: Final = "/dev/shm"  # noqa: S108 - a file system in memory
MIN_FREE: Final = 2 * 1024**3  # bytes
GRACE: Final = 100.0  # seconds for a shutdown in good order

CLEAN_UP: Final = 'kill -s "$1" -- "$2"; sleep 2; kill -s KILL -- "-$2"; rm -rf -- "$3"'


@dataclass(frozen=True)
class Program:
    """How to run a server, how to end it, and how to see that it is up."""

    command: Sequence[str]
    folder: Path
    user: str | None
    environment: Mapping[str, str]
    stop_signal: signal.Signals
    is_up: Callable[[], bool]
    leaves_traces: bool = False  # outside its folder, when killed


class Process:
    """A program that runs, in a process group of its own."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._log = program.folder / f"{Path(program.command[0]).name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def pid(self) -> int:
        """The main process, and its process group."""
        if self._process is None:
            message = f"{self._program.command[0]} is not running"
            raise RuntimeError(message)
        return self._process.pid

    def start(self) -> None:
        """Start, and return when the server is up."""
        program = self._program
        with self._log.open("ab") as log:
            self._process = process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env=program.environment,
                user=program.user,
                group=program.user and group_of(program.user),
                extra_groups=[] if program.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, not for the server
            )
        self._guard = self._watch(process.pid)
        if not wait_until(program.is_up, lambda: process.poll() is not None):
            self.kill()
            raise ServiceMissing(self._obituary())

    def stop(self) -> None:
        """Shut down in good order."""
        self._end(self._program.stop_signal)

    def kill(self) -> None:
        """End the whole group at once."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if (process := self._process) is None:
            return
        self._dismiss_guard()
        process.send_signal(how) if how is not signal.SIGKILL else os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        with suppress(ProcessLookupError):  # nobody else was in the group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None

    def _watch(self, pid: int) -> Guard:
        how = self._program.stop_signal.name.removeprefix("SIG")
        return Guard(CLEAN_UP, how, str(pid), str(self._program.folder))

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def _obituary(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()
        return f"{self._program.command[0]} did not start: {' | '.join(said[-5:])}"


@contextmanager
def running(program: Program) -> Iterator[Process]:
    """Run the program while the block lasts."""
    process = Process(program)
    try:
        process.start()
        yield process
    finally:
        process.stop() if program.leaves_traces else process.kill()


@contextmanager
def folder_of(user: str | None, *, in_memory: bool = False) -> Iterator[Path]:
    """Make a throw-away folder that belongs to the user; in memory, if there is plenty of it."""
    # Another user may not be able to reach a TMPDIR of root's.
    place = MEMORY if in_memory and _has_room(MEMORY) else "/tmp" if user else None  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="upnext-", dir=place))
    try:
        if user:
            shutil.chown(folder, user, group_of(user))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(folder: str) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > MIN_FREE


def unprivileged(preferred: str) -> str | None:
    """Return whom to run as instead of root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return preferred if preferred in known else "nobody"


def group_of(user: str) -> int:
    """Return the user's own group."""
    return pwd.getpwnam(user).pw_gid
