"""The AsyncAPI document: it tells of everything that there is, and its page shows all of it."""

from html.parser import HTMLParser
from typing import Any

import pytest
from typing_extensions import override

from shared.broker import topology
from shared.broker.topology import Exchange, Queue
from shared.http.asyncapi import asyncapi_document
from shared.http.asyncapi_page import asyncapi_page
from shared.messages import CONSUMERS, MESSAGES, MessageType

EXCHANGES = {one for one in vars(topology).values() if isinstance(one, Exchange)}
QUEUES = {one for one in vars(topology).values() if isinstance(one, Queue)}
EVERY_MESSAGE = pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.name)


class Page(HTMLParser):
    """What a page says, what can be jumped to, and what it refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given["id"] or ""} if "id" in given else set()
        self.links |= {given[name] or "" for name in ("href", "src") if name in given}

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_exchange_that_others_may_bind_to_has_its_messages_described() -> None:
    assert {one for one in EXCHANGES if one.type == "topic"} == {one.exchange for one in MESSAGES}


def test_every_queue_of_such_an_exchange_is_described() -> None:
    consumed = {one.queue for one in CONSUMERS}

    assert {one for one in QUEUES if one.exchange.type == "topic"} == consumed


@EVERY_MESSAGE
def test_every_message_has_an_example_that_is_one(message: MessageType) -> None:
    (described,) = [
        one
        for one in asyncapi_document()["components"]["messages"].values()
        if one["name"] == message.name
    ]

    examples = [one["payload"] for one in described["examples"]]

    assert examples
    for example in examples:
        message.body.model_validate(example)
        assert example.keys() <= message.body.model_fields.keys()


def test_the_page_shows_every_channel_message_and_field() -> None:
    document = asyncapi_document()
    page = Page(asyncapi_page(document))

    names = {one["address"] for one in document["channels"].values()}
    names |= document["components"]["messages"].keys()
    for schema in document["components"]["schemas"].values():
        names |= schema.get("properties", {}).keys()
    assert {name for name in names if name not in page.text} == set()


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere() -> None:
    page = Page(asyncapi_page(asyncapi_document()))

    places = {f"#{anchor}" for anchor in page.anchors}
    assert page.links - places == {"asyncapi.json", "data:,"}


def test_what_a_description_says_is_text() -> None:
    document: dict[str, Any] = asyncapi_document()
    document["info"]["title"] = document["info"]["description"] = "<script>alert(1)</script>"

    assert "<script" not in asyncapi_page(document)
