"""The extended protocol: it serves with the uvicorn that it knows, and gives way with another."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Response
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.access.guard import Guard
from shared.access.permissions import Permissions
from shared.http.app import create_app
from shared.http.server import Listener, serve
from shared.http.uvicorn_protocol.self_check import Echo, is_supported
from shared.process.settings import SharedSettings
from tests.infrastructure.server import free_port
from tests.support.eventually import within

DEADLINE: Final = 20.0  # seconds
FOLDER: Final = "shared.http.uvicorn_protocol"
PARTS: Final = [
    f"shared.http.uvicorn_protocol.{name}" for name in ("refuse", "fast_path", "limits")
]


def without_a_method(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(HttpToolsProtocol, "_unset_keepalive_if_required")


def with_another_parameter(patch: pytest.MonkeyPatch) -> None:
    def send(self: HttpToolsProtocol, msg: str, status: int = 400) -> None:
        raise NotImplementedError

    patch.setattr(HttpToolsProtocol, "send_400_response", send)


def with_bodies_kept_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HttpToolsProtocol, "on_body", lambda _, body: body)


def without_status_lines(patch: pytest.MonkeyPatch) -> None:
    for name in ("refuse", "fast_path", "limits"):
        patch.delitem(sys.modules, f"{FOLDER}.{name}", raising=False)
    patch.delattr(httptools_impl, "STATUS_LINE")


OTHERS: Final = (
    without_a_method,
    with_another_parameter,
    with_bodies_kept_elsewhere,
    without_status_lines,
)


async def test_the_installed_uvicorn_is_supported(caplog: pytest.LogCaptureFixture) -> None:
    assert await is_supported()
    assert caplog.messages == []


@pytest.mark.parametrize("change", OTHERS, ids=lambda change: change.__name__)
async def test_another_uvicorn_is_noticed_and_told_once(
    change: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    change(monkeypatch)

    assert not await is_supported()
    [message] = caplog.messages
    assert message.startswith(f"uvicorn {uvicorn.__version__} is not supported")


async def test_a_plain_request_takes_the_fast_path() -> None:
    assert await answers() == (200, 201, "posted")


async def test_with_another_uvicorn_the_application_answers_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_another_parameter(monkeypatch)

    assert await answers() == (200, 200, "the application")


async def answers() -> tuple[int, int, str]:
    """Serve, ask for one page and post once; return the status of both and what was posted."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    serving = asyncio.create_task(serve([Listener(application(), "127.0.0.1", port)]))
    async with asyncio.timeout(DEADLINE), httpx.AsyncClient(base_url=url) as client:
        while not is_listening(port):
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.01)
        page = await client.get("/openapi.json")
        posted = await client.post("/fast", content="posted")
        signal.raise_signal(signal.SIGTERM)
        await within(serving)
    return page.status_code, posted.status_code, posted.text


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def application() -> FastAPI:
    settings = SharedSettings(_env_file=None)
    app = create_app(settings, "Service", "Answers.", Guard(settings, Permissions({}), "127.0.0.1"))
    app.state.fast_path.add(Echo())

    @app.post("/fast")
    async def fast() -> Response:
        return Response("the application")

    return app
