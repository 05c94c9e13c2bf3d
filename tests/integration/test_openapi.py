"""The OpenAPI documents: what they promise holds against requests made to break it."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.product import running_product

FUZZ = (sys.executable, "-m", "schemathesis.cli", "run")
OPTIONS = ("--max-examples", "20", "--checks", "all", "--workers", "1")
# That a time must not lie in the future cannot be said in a schema.
EXCEPT = ("--exclude-checks", "positive_data_acceptance")


@pytest.mark.parametrize("service", ["consumption", "recommendation"])
def test_no_request_gets_an_answer_that_is_not_documented(tmp_path: Path, service: str) -> None:
    with running_product(tmp_path) as product:
        url = getattr(product, f"{service}_url") + "/openapi.json"
        command = (*FUZZ, url, *OPTIONS, *EXCEPT)
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout


def test_every_operation_has_a_name_of_its_own_and_a_description(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        documents = [
            httpx.get(f"{url}/openapi.json").json()
            for url in (product.consumption_url, product.recommendation_url)
        ]

    for document in documents:
        operations = [
            operation for path in document["paths"].values() for operation in path.values()
        ]
        names = [operation["operationId"] for operation in operations]
        assert len(names) == len(set(names))
        assert all(operation["description"] for operation in operations)
