"""A whole program, from its first log line to its exit status.

Apart from serving, so that a command which serves nothing is not kept waiting by what servers need.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine

from shared.errors import CannotStart
from shared.process.logs import configure_logs, without_passwords
from shared.process.settings import LogFormat, LogSettings, read_settings
from shared.process.workers import CANNOT_START, is_worker

log = logging.getLogger(__name__)


def run_to_completion(work: Coroutine[None, None, None]) -> None:
    """Run a whole program; one that cannot start ends with a sentence and status 1."""
    log_format: LogFormat = "auto"
    try:
        log_format = read_settings(LogSettings).log_format
        configure_logs(log_format)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work)
    except CannotStart as reason:
        work.close()  # it may not have begun
        if log_format == "json":  # whoever asked for it reads nothing else
            log.critical("cannot start: %s", reason)
        else:
            print(f"upnext: {without_passwords(str(reason))}", file=sys.stderr)  # noqa: T201
        sys.exit(CANNOT_START if is_worker() else 1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return uvloop's loops where there is a build of it, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
