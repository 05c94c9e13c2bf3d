"""Machine: the hardware and versions that figures were measured on, without its name."""

import os
import platform
import re
import statistics
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Final

import asyncpg
import httpx

from benchmarks.harness.servers import Servers
from benchmarks.harness.wrk import wrk_version

PACKAGES: Final = (
    *("aio-pika", "asyncpg", "fastapi", "pydantic", "sqlalchemy", "uvicorn", "uvloop"),
    *("celery", "django", "djangorestframework", "faststream", "gunicorn", "kombu", "psycopg"),
)
FLUSHES: Final = 100


async def facts(servers: Servers) -> dict[str, object]:
    """Return what a reader needs to judge the figures."""
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "flush_ms": round(1e3 * statistics.median(_flushes()), 2),
        "versions": dict(await _versions(servers)),
    }


def _field(path: Path, name: str) -> str | None:
    found = (
        re.search(rf"^{name}\s*:\s*(.+)$", path.read_text(), re.MULTILINE)
        if path.exists()
        else None
    )
    return found and found[1].strip()


def _memory() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _flushes() -> Iterator[float]:
    """Yield the seconds that a write of a database page with fsync takes."""
    with tempfile.TemporaryFile() as file:
        for _ in range(FLUSHES):
            file.write(os.urandom(8192))
            file.flush()
            began = perf_counter()
            os.fsync(file.fileno())
            yield perf_counter() - began


async def _rabbitmq(servers: Servers) -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{servers.rabbitmq.management_url}/api/overview")
    return str(answer.raise_for_status().json()["rabbitmq_version"])


async def _versions(servers: Servers) -> dict[str, str]:
    connection = await asyncpg.connect(servers.postgresql.url)
    postgresql = str(await connection.fetchval("SHOW server_version"))
    await connection.close()
    found = {
        "python": platform.python_version(),
        "postgresql": postgresql,
        "rabbitmq": await _rabbitmq(servers),
        "wrk": wrk_version(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
