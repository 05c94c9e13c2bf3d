"""Open: without keys a service lets in anybody, so it starts only where that is this machine."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import CannotStart
from tests.support.http_client import ask
from tests.support.pair import SetUp
from tests.support.product import Product, running_product

EVERYWHERE = "0.0.0.0"  # noqa: S104 - to see it refused
WATCHES = "user_id,lesson_id,timestamp\n42,100,1700000000\n42,7,1700000060\n"


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "10.0.0.1", "upnext.example", "localhost."])
async def test_an_open_service_does_not_start_where_others_reach_it(
    embedded: SetUp, host: str
) -> None:
    with pytest.raises(CannotStart, match="API_KEYS"):
        async with embedded.consumption(consumption_host=host):
            pass
    with pytest.raises(CannotStart, match="API_KEYS"):
        async with embedded.recommendation(recommendation_host=host):
            pass


@pytest.mark.parametrize(
    "settings",
    [
        {"consumption_host": "127.0.0.1"},
        {"consumption_host": "::1"},
        {"consumption_host": "localhost"},
        {"consumption_host": EVERYWHERE, "allow_open": True},
    ],
)
async def test_an_open_service_starts_where_nobody_else_can_or_it_is_wanted(
    embedded: SetUp, settings: dict[str, Any]
) -> None:
    async with embedded.consumption(**settings) as client:
        document = (await client.get("/openapi.json")).json()
        answer = await client.get("/watches")

    assert answer.status_code == 200
    assert {} in document["paths"]["/watches"]["get"]["security"]  # nothing is needed


@pytest.mark.parametrize("missing", ["jwt_jwks", "jwt_issuer", "jwt_audience"])
async def test_tokens_that_would_be_verified_by_half_end_the_start(
    embedded: SetUp, tmp_path: Path, missing: str
) -> None:
    settings = {"jwt_jwks": str(tmp_path), "jwt_issuer": "i", "jwt_audience": "a", missing: ""}

    with pytest.raises(CannotStart, match=missing.upper()):
        async with embedded.consumption(**settings):
            pass


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("laptop", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8000", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_an_open_service_does_not_answer_a_page_that_names_this_machine_its_own(
    embedded: SetUp, host: str, status: int
) -> None:
    """A page may point its own name at 127.0.0.1; the browser still sends that name."""
    async with embedded.consumption() as client:
        assert (await client.get("/watches", headers={"Host": host})).status_code == status


async def test_another_sites_form_records_nothing(embedded: SetUp) -> None:
    """A browser sends a form or plain text anywhere without asking; JSON it asks about first."""
    watch = '{"user_id": 42, "lesson_id": 100, "position": 314}'
    async with embedded.consumption() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = await client.post("/watches", content=watch, headers={"Content-Type": kind})
            assert answer.status_code == 422
        asked = await client.options("/watches", headers={"Origin": "https://evil.example"})
        stored = await client.get("/watches")

    assert "access-control-allow-origin" not in asked.headers
    assert stored.json()["items"] == []


def test_a_key_made_by_the_command_opens_what_its_line_locks(tmp_path: Path) -> None:
    made = Product(tmp_path).run("key", "loader", "--scope", "watches:write")
    key, line = made.stdout.splitlines()
    locked_by = {"API_KEYS": line, "CONSUMPTION_HOST": EVERYWHERE}
    with running_product(tmp_path, locked_by) as product:
        (product.folder / "watches.csv").write_text(WATCHES)
        refused = product.run("import", "watches.csv")
        product.environment["API_KEY"] = key
        imported = product.run("import", "watches.csv")
        forbidden = product.run("parked", "list")
        stored = ask(
            f"{product.consumption_url}/watches", headers={"Authorization": f"Bearer {key}"}
        )

    assert refused.returncode == 1
    assert "A key or a token is needed" in refused.stderr
    assert imported.returncode == 0, imported.stderr
    assert len(stored.json()["items"]) == 2
    assert "needs the scope admin" in forbidden.stderr
