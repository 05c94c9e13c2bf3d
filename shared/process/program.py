"""Entry point of a program: configures logs, runs a coroutine, sets the exit status.

It does not import the server, so that a command which serves nothing starts quickly.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine

from shared.errors import CannotStart
from shared.process.logs import configure_logs, without_passwords
from shared.process.settings import LogFormat, LogSettings, read_settings
from shared.process.workers import CANNOT_START_STATUS, is_worker

log = logging.getLogger(__name__)


def run_to_completion(work: Coroutine[None, None, None]) -> None:
    """Run the program to its end; `CannotStart` ends it with a sentence and status 1."""
    log_format: LogFormat = "auto"
    try:
        log_format = read_settings(LogSettings).log_format
        configure_logs(log_format)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work)
    except CannotStart as reason:
        work.close()  # it may not have started
        if log_format == "json":  # then every line has to be JSON
            log.critical("cannot start: %s", reason)
        else:
            print(f"upnext: {without_passwords(str(reason))}", file=sys.stderr)  # noqa: T201
        sys.exit(CANNOT_START_STATUS if is_worker() else 1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the event loop of uvloop if it is installed, else that of asyncio."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
