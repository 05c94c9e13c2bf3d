"""Debian's and Ubuntu's packages of the services, installed without starting them."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.infrastructure.server import ServiceMissing

APT: Final = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
POLICY: Final = "/usr/sbin/policy-rc.d"  # asked by packages before they start a service
REFUSAL: Final = "printf '#!/bin/sh\\nexit 101\\n' > {0} && chmod 755 {0}"
ADVICE: Final = (
    "The tests need real services: set TEST_AMQP_URL and TEST_DATABASE_URL, or install "
    "rabbitmq-server and postgresql, or start Docker."
)

_one_at_a_time = threading.Lock()


def install(*packages: str, advice: str = ADVICE) -> None:
    """Install what is missing, or say in one sentence what to do."""
    if (privileges := _privileges()) is None or shutil.which("apt-get") is None:
        raise ServiceMissing(advice)
    with _one_at_a_time, _no_services_started(privileges):
        _run([*privileges, *APT, "update"])
        _run([*privileges, *APT, "install", "--no-install-recommends", *packages])


def _privileges() -> list[str] | None:
    if os.geteuid() == 0:
        return ["env", "DEBIAN_FRONTEND=noninteractive"]
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], check=False).returncode == 0:
        return ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"]
    return None


@contextmanager
def _no_services_started(privileges: list[str]) -> Iterator[None]:
    if os.path.exists(POLICY):  # noqa: PTH110 - the machine has a policy, and keeps it
        yield
        return
    _run([*privileges, "sh", "-c", REFUSAL.format(POLICY)])
    try:
        yield
    finally:
        _run([*privileges, "rm", "-f", POLICY])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise ServiceMissing(f"{ADVICE} ({' '.join(command)}: {last[0]})")
