"""`upnext import`, interrupted: whatever ends, each row is recorded once."""

import asyncio
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.eventually import eventually
from tests.integration.watch_files import a_file, lines
from tests.product import Product, running_product
from upnext.import_memory import FOLDER

MANY: Final = 5000  # enough to be interrupted in the middle
SLOWLY: Final = "--in-flight=1"


@pytest.fixture
def product(tmp_path: Path) -> Generator[Product]:
    """A product for one test, in the folder of its files."""
    with running_product(tmp_path) as product:
        yield product


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one row for each of many users."""
    return a_file(tmp_path / "watches.csv", lines(0, count=MANY))


async def wait_until_begun(product: Product) -> None:
    """Wait until the first answers are noted on disk; most rows are still to be sent."""

    async def noted() -> bool:
        # Looked for often: the whole import takes less than a second.
        for _ in range(100):
            if list((product.folder / FOLDER).glob("*.json")):
                return True
            await asyncio.sleep(0.002)
        return False

    await eventually(noted)


async def test_an_import_that_was_killed_goes_on_and_records_each_row_once(
    product: Product, file: Path
) -> None:
    with product.command("import", file, SLOWLY) as killed:
        await wait_until_begun(product)
        killed.kill()

    done = product.run("import", file)

    assert done.returncode == 0, done.stderr
    assert "Going on after" in done.stderr
    assert f"{MANY:,} sent" not in done.stdout
    await eventually(lambda: product.applied() == MANY)


async def test_an_import_that_was_stopped_says_so_and_goes_on(product: Product, file: Path) -> None:
    with product.command("import", file, SLOWLY) as stopped:
        await wait_until_begun(product)
        stopped.send_signal(signal.SIGINT)
        _, errors = stopped.communicate()

    done = product.run("import", file)

    assert stopped.returncode != 0
    assert "goes on from here" in errors
    assert "Traceback" not in errors
    assert "Going on after" in done.stderr
    await eventually(lambda: product.applied() == MANY)


async def test_from_start_sends_everything_again(product: Product, file: Path) -> None:
    with product.command("import", file, SLOWLY) as killed:
        await wait_until_begun(product)
        killed.kill()

    done = product.run("import", file, "--from-start")

    assert "Going on after" not in done.stderr
    assert f"{MANY:,} sent" in done.stdout
    await eventually(lambda: product.applied() == MANY)


async def test_an_import_outlives_a_crash_of_the_product(product: Product, file: Path) -> None:
    with product.command("import", file, SLOWLY) as importing:
        await wait_until_begun(product)
        product.kill()
        product.start()

        output, errors = importing.communicate(timeout=240)

        assert importing.returncode == 0, errors
        assert f"{MANY:,} sent" in output
        await eventually(lambda: product.applied() == MANY)


async def test_an_import_gives_up_when_the_product_stays_away(product: Product, file: Path) -> None:
    with product.command("import", file, SLOWLY, "--patience=0.5") as importing:
        await wait_until_begun(product)
        product.kill()

        _, errors = importing.communicate(timeout=240)

        assert importing.returncode == 1
        assert "Gave up after 0.5 seconds" in errors.splitlines()[-1]
        assert "Traceback" not in errors
