"""The gate: on a real connection, for those who ask too much, and while nobody can tell."""

from pathlib import Path

from tests.support.credentials import (
    ADA,
    ADMIN,
    API_KEYS,
    BOB,
    ISSUER,
    READER,
    WRITER,
    kind_of,
    watch_of,
)
from tests.support.http_client import open_client
from tests.support.pair import SetUp
from tests.support.product import running_product
from tests.support.tokens import publish, settings_of


async def test_on_a_connection_it_makes_no_difference_which_way_a_request_goes(
    tmp_path: Path,
) -> None:
    """A plain POST is answered on its connection, once its credential was found good."""
    settings = settings_of(publish(tmp_path / "jwks.json", ISSUER)) | {"api_keys": API_KEYS}
    environment = {name.upper(): value for name, value in settings.items()}
    with running_product(tmp_path, environment) as product:
        async with open_client(product.consumption_url) as client:
            for headers, status in [(ADA, 201), (BOB, 403), (READER, 403), ({}, 401)]:
                for _ in range(3):
                    answer = await client.post("/watches", json=watch_of(42), headers=headers)
                    assert answer.status_code == status
            stored = await client.get("/watches", headers=ADMIN)

    assert len(stored.json()["items"]) == 3


async def test_more_than_the_limit_is_refused_and_records_nothing(embedded: SetUp) -> None:
    async with embedded.consumption(api_keys=API_KEYS, rate_limit=0.001) as client:
        first = await client.post("/watches", json=watch_of(42), headers=WRITER)
        second = await client.post("/watches", json=watch_of(42), headers=WRITER)
        another = await client.get("/watches", headers=ADMIN)

    assert [first.status_code, second.status_code, another.status_code] == [201, 429, 200]
    assert kind_of(second) == "too-many-requests"
    assert 0 < int(second.headers["retry-after"]) <= 1000
    assert len(another.json()["items"]) == 1


async def test_while_the_issuers_keys_cannot_be_read_tokens_are_tried_again_later(
    embedded: SetUp, tmp_path: Path
) -> None:
    place = tmp_path / "jwks.json"
    place.write_text("not there yet")
    async with embedded.consumption(**settings_of(str(place))) as client:
        answer = await client.get("/watches", headers=ADA)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
