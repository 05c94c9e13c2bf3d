"""The import contracts in pyproject.toml refuse what they are there for.

Imports that break them are planted in a copy of the packages; one run of import-linter names all.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grimp
import pytest

from tests.support.repository import ROOT

CONFIGURATION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES: Final[list[str]] = CONFIGURATION["root_packages"]
CONTRACTS: Final[list[dict[str, Any]]] = CONFIGURATION["contracts"]
LINTER: Final = Path(sys.executable).with_name("lint-imports")

FORBIDDEN: Final = """
    services               shared.http.app                       consumption_service.event
    services               shared.events                         recommendation_service.event
    services               consumption_service.app               recommendation_service.event
    services               recommendation_service.app            consumption_service.event
    recommendation         recommendation_service.learn.erase    recommendation_service.serve
    recommendation         recommendation_service.learn.rebuild  recommendation_service.api
    routers                consumption_service.api.completions   consumption_service.api.watches
    recommendation-routers recommendation_service.api.catalogue  recommendation_service.api.lessons
    pure                   consumption_service.record.decide     sqlalchemy
    pure                   consumption_service.segments          sqlalchemy
    pure                   recommendation_service.model.weights  shared.database
    web                    recommendation_service.learn.learn    fastapi
    server                 upnext.run                            uvicorn
    sql                    upnext.parked                         sqlalchemy
    metrics                consumption_service.publish.message   prometheus_client
    amqp                   shared.broker.connect                 aiormq
    interface              shared.broker.topic                   shared.broker.in_process
    wire                   shared.broker.rabbitmq.broker         shared.broker.rabbitmq.wire.client
"""  # the contract, the importing module, and what it imports
PLANTED: Final = [line.split() for line in FORBIDDEN.strip().splitlines()]
UNLISTED: Final = [  # the contract, and a module or folder that it has no layer for
    (contract["id"], f"{container}.{name}")
    for contract in CONTRACTS
    if contract.get("exhaustive")
    for container in contract["containers"]
    for name in ("another_module", "another_folder")
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-cache", "--no-logo"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "1000", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and their contracts."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    return folder


@pytest.fixture(scope="module")
def refused(copy: Path) -> dict[str, str]:
    """What each broken contract says, once everything is planted."""
    assert lint(copy).returncode == 0  # nothing is refused as it is
    for _, importer, imported in PLANTED:
        path = copy / f"{importer.replace('.', '/')}.py"
        path.write_text(f"{path.read_text()}\nimport {imported}\n")
    for _, name in UNLISTED:
        plant(copy / name.replace(".", "/"))
    done = lint(copy)
    assert done.returncode == 1
    names = {contract["name"]: contract["id"] for contract in CONTRACTS}
    _, *parts = re.split(r"^(.+)\n-{3,}\n", done.stdout, flags=re.MULTILINE)
    said = zip(parts[::2], parts[1::2], strict=True)
    return {names[name]: text for name, text in said if name in names}


def plant(path: Path) -> None:
    if path.name == "another_module":
        path.with_suffix(".py").touch()
    else:
        path.mkdir()
        (path / "__init__.py").touch()


@pytest.mark.parametrize(("contract", "importer", "imported"), PLANTED)
def test_a_forbidden_import_is_refused(
    refused: dict[str, str], contract: str, importer: str, imported: str
) -> None:
    line = rf"^- +{re.escape(importer)} -> {re.escape(imported)} \(l\.\d+\)$"

    assert re.search(line, refused[contract], re.MULTILINE)


@pytest.mark.parametrize(("contract", "name"), UNLISTED)
def test_a_module_without_a_layer_is_refused(
    refused: dict[str, str], contract: str, name: str
) -> None:
    assert f"\n- {name}\n" in refused[contract]


def test_every_contract_is_shown_to_refuse_something() -> None:
    assert {contract["id"] for contract in CONTRACTS} == {one[0] for one in (*PLANTED, *UNLISTED)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_below_a_layer(package: str) -> None:
    """Migrations are loaded by their path, and import nothing but SQLAlchemy and Alembic."""
    (layers,) = (one for one in CONTRACTS if [package] == one.get("containers"))

    assert layers["exhaustive"] is True
    assert "exhaustive_ignores" not in layers
    assert set(modules_of(package)) == grimp.build_graph(package, cache_dir=None).modules


def modules_of(package: str) -> Iterator[str]:
    for path in (ROOT / package).rglob("*.py"):
        module = path.relative_to(ROOT).with_suffix("")
        if "migrations" not in module.parts:
            yield ".".join(module.parts).removesuffix(".__init__")
