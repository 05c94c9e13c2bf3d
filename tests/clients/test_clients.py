"""Clients are generated from what the services say of themselves, compiled, and used."""

import compileall
import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from shared.http.asyncapi import asyncapi_document
from tests.clients.generators import FOLDER, HERE, PYTHON, install_generators, module, node, run
from tests.support.http_client import ask
from tests.support.product import Product, running_product

pytestmark = pytest.mark.timeout(1200)  # the first run installs the generators
SERVICES: Final = ("consumption", "recommendation")
TSC: Final = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Generator[Product]:
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def generators() -> None:
    install_generators()


@pytest.fixture
def folder(product: Product, tmp_path: Path) -> Path:
    """A folder with what each service says of itself."""
    for name in SERVICES:
        url = getattr(product, f"{name}_url")
        (tmp_path / f"{name}.json").write_text(ask(f"{url}/openapi.json").text)
    # Packages of JavaScript are looked for from here upwards.
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    return tmp_path


def urls(product: Product) -> list[str]:
    return [product.consumption_url, product.recommendation_url]


def test_a_client_in_python_is_generated_without_a_warning_and_works(
    product: Product, folder: Path
) -> None:
    (folder / "config.yml").write_text("post_hooks: []\n")
    for name in SERVICES:
        options = ["--path", f"{name}.json", "--output-path", f"{name}_client", "--meta", "none"]
        generate = [str(PYTHON), "-m", "openapi_python_client", "generate", "--fail-on-warning"]
        run([*generate, *options, "--config", "config.yml"], folder)
        assert compileall.compile_dir(folder / f"{name}_client", quiet=1)
    shutil.copy(HERE / "use.py", folder)

    run([PYTHON, "use.py", *urls(product)], folder)


def test_a_client_in_typescript_is_generated_and_compiled_and_works(
    product: Product, folder: Path
) -> None:
    for name in SERVICES:
        generate = [*node(), module("openapi-typescript/bin/cli.js")]
        run([*generate, f"{name}.json", "--output", f"{name}.ts"], folder)
    shutil.copy(HERE / "use.ts", folder)
    (folder / "package.json").write_text('{"type": "module"}')

    run([*node(), module("typescript/bin/tsc"), *TSC, "use.ts"], folder)

    run([*node(), "use.js", *urls(product)], folder)


def test_the_asyncapi_document_that_is_served_is_valid(product: Product, folder: Path) -> None:
    served = [ask(f"{url}/asyncapi.json").json() for url in urls(product)]

    assert served == [asyncapi_document()] * 2
    assert complaints(folder, served[0]) == ""


def test_the_validator_finds_what_is_wrong(folder: Path) -> None:
    document = asyncapi_document()
    document["operations"]["sendWatchCreated"]["action"] = "shout"

    assert "action" in complaints(folder, document)


def test_each_service_shows_its_messages_to_people(product: Product) -> None:
    for url in urls(product):
        page = ask(f"{url}/asyncapi")

        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "watch.created" in page.text


def complaints(folder: Path, document: dict[str, Any]) -> str:
    """What AsyncAPI's own parser has against the document."""
    (folder / "asyncapi.json").write_text(json.dumps(document))
    shutil.copy(HERE / "validate.mjs", folder)
    command = [*node(), "validate.mjs", "asyncapi.json"]
    return run(command, folder, may_fail=True)
