"""Parked messages: list, show, redeliver or discard them."""

from typing import Annotated, Any
from uuid import UUID

import httpx
import typer

from upnext.addresses import recommendation_address
from upnext.credentials import credentials

parked = typer.Typer(
    help="Messages that could not be processed: list, show, redeliver, discard.",
    no_args_is_help=True,
)

Address = Annotated[
    str | None, typer.Option("--url", help="The recommendation service; by default the settings'.")
]


@parked.command("list")
def list_messages(url: Address = None) -> None:
    """List the messages, newest first, each with its reason."""
    query: dict[str, str] = {}
    while True:
        page = _ask("GET", "/parked", url, query)
        for item in page["items"]:
            typer.echo(f"{item['id']}  {item['parked_at']}  {item['reason']}: {item['detail']}")
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


@parked.command()
def show(parked_id: UUID, url: Address = None) -> None:
    """Show all that is known of a message, and what it says."""
    message = _ask("GET", f"/parked/{parked_id}", url)
    body = message.pop("body")
    for name, value in message.items():
        typer.echo(f"{name + ':':<14}{value}")
    typer.echo(f"\n{body}")


@parked.command()
def redeliver(parked_id: UUID, url: Address = None) -> None:
    """Try a message again; what still cannot be processed stays parked."""
    typer.echo(_ask("POST", f"/parked/{parked_id}/redeliver", url)["outcome"])


@parked.command()
def discard(parked_id: UUID, url: Address = None) -> None:
    """Discard a message for good."""
    _ask("DELETE", f"/parked/{parked_id}", url)
    typer.echo("discarded")


def _ask(method: str, path: str, url: str | None, query: dict[str, str] | None = None) -> Any:
    """Return the answer of the service; end the program on a problem or without an answer."""
    try:
        answer = httpx.request(
            method,
            (url or recommendation_address()) + path,
            params=query,
            headers=credentials(),
            timeout=30,
        )
    except httpx.HTTPError as error:
        raise SystemExit(f"upnext: the recommendation service does not answer: {error}") from None
    if answer.is_error:
        raise SystemExit(f"upnext: {answer.json()['detail']}")
    return answer.json() if answer.content else None
