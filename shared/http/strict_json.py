"""Strict JSON: RFC 8259, without anything that two parsers may read in different ways.

Refused are other encodings than UTF-8, a byte order mark, `NaN`, and a name twice in an object.
Also refused are sizes that cost more to refuse later: many names, deep nesting, long numbers.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

MAX_NAMES: Final = 100  # in an object; each unknown one costs a line in the response


class StrictJSONRoute(APIRoute):
    """A route whose request body is parsed strictly."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with strict parsing."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handle_strictly


class _Request(Request):
    @override
    async def json(self) -> Any:
        return parse(await self.body())


def parse(body: bytes) -> Any:
    """Return the parsed body, or raise `json.JSONDecodeError` with the reason."""
    try:
        return _DECODER.decode(body.decode())
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError:
        raise _wrong("it is not UTF-8") from None
    except RecursionError:
        raise _wrong("it is nested too deeply") from None
    except ValueError:  # Python's limit on what `int` reads, in thousands of digits
        raise _wrong("a number is too long") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise _wrong("an object has too many names")
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _wrong("an object has a name twice")
    return members


def _no_number(constant: str) -> Any:
    raise _wrong(f"{constant} is no number")


def _wrong(reason: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(reason, "", 0)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_number)
