"""Chromium for tests: the machine's own, or Debian's package of it."""

import shutil
from typing import Final

from tests.infrastructure.packages import install
from tests.infrastructure.server import ServiceMissing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE: Final = (
    "The tests need a browser: set TEST_CHROMIUM to the program of a Chromium, or install chromium."
)


def chromium() -> str:
    """Return where the browser is, after installing it if there is none."""
    if found := _found():
        return found
    install("chromium", "fonts-dejavu-core", advice=ADVICE)
    if found := _found():
        return found
    raise ServiceMissing(ADVICE)


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
