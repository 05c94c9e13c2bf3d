"""The OpenAPI documents: what they promise holds against requests made to break it."""

import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from tests.support.commands import run_command
from tests.support.pair import SetUp
from tests.support.product import running_product

FUZZ = (sys.executable, "-m", "schemathesis.cli", "run")
PACE = ("--workers", "1", "--request-timeout", "100")
OPTIONS = ("--max-examples", "10", "--checks", "all", "--seed", "1", *PACE)  # the same each time
# That a time must not lie in the future cannot be said in a schema.
EXCEPT = ("--exclude-checks", "positive_data_acceptance")
# What a request waits for with `after` may not come, and 503 is the answer to that; waiting for it
# each time would take minutes.
SETTINGS = """
[[operations]]
include-name = "GET /users/{user_id}/recommendations"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
parameters = { "query.wait_ms" = 1 }
"""


@pytest.mark.parametrize("service", ["consumption", "recommendation"])
def test_no_request_gets_an_answer_that_is_not_documented(tmp_path: Path, service: str) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    with running_product(tmp_path) as product:
        url = getattr(product, f"{service}_url") + "/openapi.json"
        command = (*FUZZ, url, *OPTIONS, *EXCEPT)
        run = run_command(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run.returncode == 0, run.stdout


@pytest_asyncio.fixture
async def documents(embedded: SetUp) -> list[dict[str, Any]]:
    """What both services say of themselves."""
    async with embedded.both() as pair:
        answers = [
            await one.get("/openapi.json") for one in (pair.consumption, pair.recommendation)
        ]
    return [answer.json() for answer in answers]


def operations_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_every_operation_has_a_name_of_its_own_and_a_description(
    documents: list[dict[str, Any]],
) -> None:
    for document in documents:
        operations = operations_of(document)
        names = [operation["operationId"] for operation in operations]
        assert len(names) == len(set(names))
        assert all(operation["description"] for operation in operations)


def test_every_body_and_every_answer_has_an_example_that_is_one(
    documents: list[dict[str, Any]],
) -> None:
    for document in documents:
        for operation in operations_of(document):
            for media in media_of(operation):
                examples = examples_of(media, document)

                assert examples, operation["operationId"]
                schema = media["schema"] | {"components": document["components"]}
                for example in examples:
                    jsonschema.validate(example, schema, jsonschema.Draft202012Validator)


def test_every_operation_says_how_it_may_fail(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        for operation in operations_of(document):
            expected = {"408", "431", "500", "503"}
            expected |= {"400", "413", "422"} if "requestBody" in operation else set()
            expected |= {"422"} if operation.get("parameters") else set()

            assert operation["responses"].keys() >= expected, operation["operationId"]


def media_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The kinds of JSON that an operation takes and gives."""
    parts = [operation.get("requestBody", {}), *operation["responses"].values()]
    media = [one for part in parts for one in part.get("content", {}).items()]
    return [one for name, one in media if name.endswith("json")]


def examples_of(media: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    """What is shown: beside the schema, or in it."""
    if "example" in media:
        return [media["example"]]
    schema = media["schema"]
    named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2])
    return list((named or schema).get("examples", []))
