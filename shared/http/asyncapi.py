"""AsyncAPI 3 document of the messages, generated from their models and the topology."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic.json_schema import models_json_schema

from shared.broker.topic import topic_matches
from shared.broker.topology import RECOMMENDATION_WATCH, USER_HEADER, WATCH, Exchange, Queue
from shared.events import SCHEMA_VERSION
from shared.http.asyncapi_page import STYLE, asyncapi_page
from shared.http.pages import policy_with
from shared.messages import CONSUMERS, MESSAGES, Consumer, MessageType

Part = dict[str, Any]

DESCRIPTION: Final = """\
The messages that the services exchange over RabbitMQ. Anybody may bind a queue of their own.

Each message is persistent, and delivered at least once: `message_id` is the id of the event. Ignore
a message whose id was seen before. Ignore fields that you do not know: others may be added.
"""

HEADERS: Final[Part] = {
    "x-schema-version": {
        "type": "integer",
        "const": SCHEMA_VERSION,
        "description": "Missing means 1.",
    },
    "traceparent": {
        "type": "string",
        "description": "The trace that the message belongs to (W3C Trace Context).",
    },
}
PARTITION_NOTE: Final = f"""\
With partitions, queues with this name and the suffix `.1`, `.2` and so on receive the messages
instead, divided by `{USER_HEADER}`.
"""
USER_PROPERTIES: Final[Part] = {
    USER_HEADER: {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "The `user_id` of the body: messages of a user go to one partition.",
    },
}


def asyncapi_routes() -> APIRouter:
    """Return both routes: the document as JSON and as a page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/asyncapi.json")
    async def asyncapi() -> Part:
        return _document()

    @router.get("/asyncapi")
    async def asyncapi_for_people() -> HTMLResponse:
        return HTMLResponse(asyncapi_page(_document()), headers=policy_with(STYLE))

    return router


@cache
def _document() -> Part:
    """Generate the document at the first request, so that a start does not wait for it."""
    return asyncapi_document()


def asyncapi_document() -> Part:
    """Return the document."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Upnext messages",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {
            "rabbitmq": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ, at the address in the setting `AMQP_URL`.",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {one.name: _message(one) for one in MESSAGES},
            "schemas": _schemas(),
        },
    }


def _channels() -> Part:
    published = {_id(one.name): _routing_key_channel(one) for one in MESSAGES}
    return published | {_id(one.queue.name): _queue_channel(one.queue) for one in CONSUMERS}


def _routing_key_channel(message: MessageType) -> Part:
    key, exchange = message.routing_key, message.exchange.name
    return {
        "address": key,
        "title": message.name,
        "description": f"Routing key `{key}` of the {message.exchange.type} exchange `{exchange}`.",
        "messages": _references([message]),
        "bindings": {"amqp": _routing_key_binding(message.exchange)},
    }


def _queue_channel(queue: Queue) -> Part:
    description = f"""\
Durable quorum queue, bound to exchange `{queue.exchange.name}` with `{queue.binding_key}`.
A message that is rejected, or redelivered more than {queue.delivery_limit} times, is parked.
{PARTITION_NOTE if queue == RECOMMENDATION_WATCH else ""}"""
    return {
        "address": queue.name,
        "title": queue.name,
        "description": description,
        "messages": _references(_messages_of(queue)),
        "bindings": {"amqp": _queue_binding(queue)},
    }


def _routing_key_binding(exchange: Exchange) -> Part:
    described = {"name": exchange.name, "type": exchange.type, "durable": True, "autoDelete": False}
    return {"is": "routingKey", "exchange": described, "bindingVersion": "0.3.0"}


def _queue_binding(queue: Queue) -> Part:
    described = {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False}
    return {"is": "queue", "queue": described, "bindingVersion": "0.3.0"}


def _operations() -> Part:
    sent = {_id(f"send.{one.name}"): _sending(one) for one in MESSAGES if one.sender}
    return sent | {_id(f"receive.{one.queue.name}"): _receiving(one) for one in CONSUMERS}


def _sending(message: MessageType) -> Part:
    binding = {"deliveryMode": 2, "mandatory": True, "bindingVersion": "0.3.0"}
    return {
        "action": "send",
        "title": f"Send {message.name}",
        "summary": f"{message.summary} The {message.sender} says so.",
        "channel": _reference("channels", _id(message.name)),
        "bindings": {"amqp": binding},
    }


def _receiving(consumer: Consumer) -> Part:
    return {
        "action": "receive",
        "title": f"Receive from {consumer.queue.name}",
        "summary": f"The {consumer.service} {consumer.purpose}.",
        "channel": _reference("channels", _id(consumer.queue.name)),
        "bindings": {"amqp": {"ack": True, "bindingVersion": "0.3.0"}},
    }


def _message(message: MessageType) -> Part:
    return {
        "name": message.name,
        "title": message.name,
        "summary": message.summary,
        "contentType": "application/json",
        "headers": _headers(message.exchange),
        "payload": _reference("components/schemas", message.body.__name__),
        "bindings": {"amqp": {"messageType": message.name, "bindingVersion": "0.3.0"}},
        "examples": [
            {"headers": {"x-schema-version": SCHEMA_VERSION}, "payload": example}
            for example in message.body.model_json_schema().get("examples", [])
        ],
    }


def _headers(exchange: Exchange) -> Part:
    user_properties = USER_PROPERTIES if exchange == WATCH else {}
    return {"type": "object", "properties": HEADERS | user_properties}


def _schemas() -> Part:
    bodies = {message.body: None for message in MESSAGES}
    _, found = models_json_schema(
        [(body, "validation") for body in bodies], ref_template="#/components/schemas/{model}"
    )
    schemas: Part = found["$defs"]
    return schemas


def _messages_of(queue: Queue) -> list[MessageType]:
    return [
        one
        for one in MESSAGES
        if one.exchange == queue.exchange and topic_matches(queue.binding_key, one.routing_key)
    ]


def _references(messages: Iterable[MessageType]) -> Part:
    return {one.name: _reference("components/messages", one.name) for one in messages}


def _reference(where: str, name: str) -> Part:
    return {"$ref": f"#/{where}/{name}"}


def _id(name: str) -> str:
    """Return the name in camel case, for generated code."""
    first, *others = re.split(r"\W+", name.replace("*", "all"))
    return first + "".join(word.capitalize() for word in others)
