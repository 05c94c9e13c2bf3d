"""`upnext import`, run as people run it, into the product as people run it."""

import gzip
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.product import Product, running_product
from tests.support.watch_files import HEADER, ROWS, a_file, lines


@pytest.fixture(scope="module")
def shared_product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    """One product for all tests here that count only what they add."""
    with running_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture
def product(shared_product: Product, tmp_path: Path) -> Product:
    """A product whose commands run in a folder of this test's own."""
    return shared_product.seen_from(tmp_path)


async def test_every_row_is_recorded_and_learned(product: Product, tmp_path: Path) -> None:
    file = a_file(tmp_path / "watches.csv", lines(10_000))
    before = product.applied()

    done = product.run("import", file)

    assert done.returncode == 0, done.stderr
    assert f"{ROWS} sent, {ROWS} recorded, 0 already there, 0 refused" in done.stdout
    await eventually(lambda: product.applied() == before + ROWS)
    watch = product.watches_of(10_003)[0]
    assert (watch["lesson_id"], watch["position"]) == (3, 3)
    assert watch["occurred_at"] == "2026-01-02T03:04:05Z"


async def test_importing_again_adds_nothing(product: Product, tmp_path: Path) -> None:
    rows = lines(20_000)
    product.run("import", a_file(tmp_path / "watches.csv", rows))
    again = a_file(tmp_path / "overlapping.csv", [*rows[10:], *lines(21_000, count=5)])

    done = product.run("import", again)

    assert f"{ROWS - 5} sent, 5 recorded, {ROWS - 10} already there" in done.stdout
    assert len(product.watches_of(20_020)) == 1


async def test_a_repeated_row_is_a_watch_of_its_own(product: Product, tmp_path: Path) -> None:
    file = a_file(tmp_path / "watches.csv", lines(30_000, count=1) * 3)

    first = product.run("import", file)
    second = product.run("import", file)

    assert "3 sent, 3 recorded" in first.stdout
    assert "3 sent, 0 recorded, 3 already there" in second.stdout
    assert len(product.watches_of(30_000)) == 3


async def test_a_gzipped_file_needs_no_name_that_says_so(product: Product, tmp_path: Path) -> None:
    file = tmp_path / "watches"
    file.write_bytes(gzip.compress("\n".join([HEADER, *lines(40_000)]).encode()))

    done = product.run("import", file)

    assert f"{ROWS} recorded" in done.stdout


async def test_columns_can_be_named_and_times_can_be_numbers(
    product: Product, tmp_path: Path
) -> None:
    rows = ["50000,7,1767323045,600", "50000,8,1767323045000,600"]
    file = a_file(tmp_path / "watches.csv", rows, header="who,item_id,when,seconds")

    done = product.run("import", file, "--user=who", "--time=when", "--duration=seconds")

    assert "2 recorded" in done.stdout, done.stderr
    assert {
        (watch["lesson_id"], watch["position"], watch["duration"], watch["occurred_at"])
        for watch in product.watches_of(50_000)
    } == {(7, 0, 600, "2026-01-02T03:04:05Z"), (8, 0, 600, "2026-01-02T03:04:05Z")}


async def test_refused_rows_are_reported_and_the_others_recorded(
    product: Product, tmp_path: Path
) -> None:
    good = lines(60_000)
    bad = [
        "60000,1,-5,2026-01-02T03:04:05Z",
        "Ann,1,5,2026-01-02T03:04:05Z",
        "60000,1,5,2999-01-01T00:00:00Z",
    ]
    file = a_file(tmp_path / "watches.csv", [good[0], *bad, *good[1:]])

    done = product.run("import", file)

    assert done.returncode == 1
    assert f"{ROWS + 2} sent, {ROWS} recorded, 0 already there, 3 refused" in done.stdout
    assert "Line 4 is refused: the user 'Ann' is not a whole number" in done.stderr
    assert "Line 3 is refused: position" in done.stderr
    rejected = (tmp_path / "watches.csv.rejected.csv").read_text().splitlines()
    assert rejected[0] == f"{HEADER},refused_because"
    assert [line.startswith(row) for line, row in zip(rejected[1:], bad, strict=True)] == [True] * 3


async def test_rows_that_were_corrected_can_be_imported(product: Product, tmp_path: Path) -> None:
    product.run("import", a_file(tmp_path / "watches.csv", ["Ann,1,5,2026-01-02T03:04:05Z"]))
    rejected = tmp_path / "watches.csv.rejected.csv"
    rejected.write_text(rejected.read_text().replace("Ann,", "70000,"))

    done = product.run("import", rejected)

    assert "1 sent, 1 recorded" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.csv"], "Cannot read absent.csv: No such file or directory."),
        (["watches.csv", "--user=who"], "There is no column 'who', only: user_id,"),
        (["watches.csv", "--url=nonsense"], "'nonsense' is not an address"),
    ],
)
async def test_a_mistake_is_one_sentence(
    product: Product, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    a_file(tmp_path / "watches.csv", lines(130_000))

    done = product.run("import", *arguments)

    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


async def test_without_a_service_it_is_one_sentence(tmp_path: Path) -> None:
    file = a_file(tmp_path / "watches.csv", lines(140_000))

    done = Product(tmp_path).run("import", file)

    assert done.returncode == 1
    assert "Nobody answers at http://127.0.0.1:" in done.stderr.splitlines()[-1]
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr


async def test_another_service_at_that_address_is_recognised(
    product: Product, tmp_path: Path
) -> None:
    file = a_file(tmp_path / "watches.csv", lines(150_000))

    done = product.run("import", file, "--url", product.recommendation_url)

    assert done.returncode == 1
    assert "is this the consumption service?" in done.stderr.splitlines()[-1]
