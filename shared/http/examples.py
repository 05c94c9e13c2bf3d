"""Examples: generates one from the schema for each body of an OpenAPI document that has none.

A field's value is the usual one for its name, or else the simplest of its type.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

ID: Final = "019ab2c4-7a10-7cc2-8d4e-0d6a5f1f2b3c"
TIME: Final = "2026-11-23T10:00:00Z"
BY_NAME: Final[Mapping[str, Any]] = {
    "user_id": 42,
    "lesson_id": 100,
    "position": 314,
    "furthest_position": 410,
    "duration": 600,
    "percent": 68.3,
    "score": 1.93,
    "contribution": 0.71,
    "lag_ms": 12,
    "attempts": 1,
    "reason": "unreadable",
    "detail": "user_id: Field required",
    "message_id": ID,
    "exchange": "watch",
    "routing_key": "created",
    "body": '{"lesson_id": 100}',
    "course_id": 7,
    "course_order": 3,
    "title": "Fractions",
    "tags": ["mathematics"],
    "segments": [[0, 314]],
    "fingerprint": "5e1c60f1c2b8f4d7a0936a4ee2d9b713",
    "status": 201,
}
FAILURE: Final = "problem"  # an optional field that is left out of examples, which show success
BY_FORMAT: Final = {"uuid": ID, "date-time": TIME}
BY_TYPE: Final = {"integer": 1, "number": 0.5, "boolean": False, "null": None}


def describe_examples(document: dict[str, Any]) -> None:
    """Add an example to each body without one."""
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        _complete(schema, schemas)
    for media in _json_of(document):
        schema = _resolved(media["schema"], schemas)
        if "example" not in media and "examples" not in schema:
            media["example"] = _example("", schema, schemas)


def _complete(schema: dict[str, Any], schemas: Schema) -> None:
    """Add missing required fields to examples, as in those that a model inherits."""
    fields = schema.get("properties", {})
    for example in schema.get("examples", []):
        for name in schema.get("required", []):
            example.setdefault(name, _example(name, fields[name], schemas))


def _json_of(document: Schema) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                if "application/json" in part.get("content", {}):
                    yield part["content"]["application/json"]


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    return schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _example(name: str, schema: Schema, schemas: Schema) -> Any:
    schema = _resolved(schema, schemas)
    if options := schema.get("oneOf") or schema.get("anyOf"):
        return _example(name, options[0], schemas)
    if "examples" in schema or schema.get("type") != "object":
        return schema["examples"][0] if "examples" in schema else _value(name, schema, schemas)
    fields = schema.get("properties", {}).items()
    return {field: _example(field, inner, schemas) for field, inner in fields if field != FAILURE}


def _value(name: str, schema: Schema, schemas: Schema) -> Any:
    known = [schema[key] for key in ("const", "default") if schema.get(key) is not None]
    known += schema.get("enum", [])[:1]
    known += [BY_NAME[name]] if name in BY_NAME else []
    known += [BY_FORMAT[schema["format"]]] if schema.get("format") in BY_FORMAT else []
    if known:
        return known[0]
    if schema.get("type") == "array":
        return [_example(name, schema.get("items", {}), schemas)]
    return BY_TYPE.get(schema.get("type", ""), name)
