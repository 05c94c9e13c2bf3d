"""`upnext import`, interrupted: whatever ends, each row is recorded once."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.faults.network import Network, network
from tests.support.commands import COMMAND_TIMEOUT
from tests.support.eventually import PATIENCE, eventually
from tests.support.product import Product, running_product
from tests.support.watch_files import a_file, lines
from upnext.import_watches.checkpoint import FOLDER

MANY: Final = 2000  # many requests
FIRST: Final = 40_000  # bytes; a request has fewer, and all of them together have many more
ONE_BY_ONE: Final = "--in-flight=1"


@pytest.fixture
def product(tmp_path: Path) -> Generator[Product]:
    """A product for one test, in the folder of its files."""
    with running_product(tmp_path) as product:
        yield product


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one row for each of many users."""
    return a_file(tmp_path / "watches.csv", lines(0, count=MANY))


@pytest_asyncio.fixture
async def wire(product: Product) -> AsyncGenerator[Network]:
    """The way to the product: after the first requests it holds up what comes, until healed."""
    async with network(product.consumption_url) as opened:
        opened.to_server.bytes_free = FIRST
        yield opened


async def wait_until_begun(product: Product) -> None:
    """Wait until the first answers are noted on disk; most rows are still to be sent."""
    await eventually(lambda: list((product.folder / FOLDER).glob("*.json")))


async def run(product: Product, wire: Network, file: Path, *options: str) -> tuple[str, str]:
    """Import over a way that is healed, to the end; return what is said of it."""
    wire.heal()
    arguments = ("import", file, "--url", wire.url, *options)
    done = await asyncio.to_thread(product.run, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


async def test_an_import_that_was_killed_goes_on_and_records_each_row_once(
    product: Product, wire: Network, file: Path
) -> None:
    with product.command("import", file, ONE_BY_ONE, "--url", wire.url) as killed:
        await wait_until_begun(product)
        killed.kill()

    output, errors = await run(product, wire, file)

    assert "Going on after" in errors
    assert f"{MANY:,} sent" not in output
    await eventually(lambda: product.applied() == MANY)


async def test_an_import_that_was_stopped_says_so_and_goes_on(
    product: Product, wire: Network, file: Path
) -> None:
    with product.command("import", file, ONE_BY_ONE, "--url", wire.url) as stopped:
        await wait_until_begun(product)
        stopped.send_signal(signal.SIGINT)
        _, said = await asyncio.to_thread(stopped.communicate, timeout=PATIENCE)

    _, errors = await run(product, wire, file)

    assert stopped.returncode != 0
    assert "goes on from here" in said
    assert "Traceback" not in said
    assert "Going on after" in errors
    await eventually(lambda: product.applied() == MANY)


async def test_from_start_sends_everything_again(
    product: Product, wire: Network, file: Path
) -> None:
    with product.command("import", file, ONE_BY_ONE, "--url", wire.url) as killed:
        await wait_until_begun(product)
        killed.kill()

    output, errors = await run(product, wire, file, "--from-start")

    assert "Going on after" not in errors
    assert f"{MANY:,} sent" in output
    await eventually(lambda: product.applied() == MANY)


async def test_an_import_outlives_a_crash_of_the_product(
    product: Product, wire: Network, file: Path
) -> None:
    options = (ONE_BY_ONE, f"--patience={COMMAND_TIMEOUT:g}", "--url", wire.url)
    with product.command("import", file, *options) as importing:
        await wait_until_begun(product)
        product.kill()
        await asyncio.to_thread(product.start)
        wire.heal()

        output, errors = await asyncio.to_thread(importing.communicate, timeout=COMMAND_TIMEOUT)

        assert importing.returncode == 0, errors
        assert f"{MANY:,} sent" in output
        await eventually(lambda: product.applied() == MANY)


async def test_an_import_gives_up_when_the_product_stays_away(
    product: Product, wire: Network, file: Path
) -> None:
    options = (ONE_BY_ONE, "--patience=0.5", "--url", wire.url)
    with product.command("import", file, *options) as importing:
        await wait_until_begun(product)
        product.kill()

        _, errors = await asyncio.to_thread(importing.communicate, timeout=COMMAND_TIMEOUT)

        assert importing.returncode == 1
        assert "Gave up after 0.5 seconds" in errors.splitlines()[-1]
        assert "Traceback" not in errors
