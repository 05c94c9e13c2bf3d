"""Security in the OpenAPI document: schemes, each operation's scope, and the refusals."""

from typing import Any, Final

from shared.access.caller import Scope
from shared.access.permissions import Permissions
from shared.problems import documented

KEY: Final = "key"
TOKEN: Final = "token"  # noqa: S105 - the name of a scheme
REFUSALS: Final = (401, 403, 429)

SCHEMES: Final = {
    KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key made with `upnext key`; `Authorization: Bearer` takes it as well.",
    },
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the identity provider. One that names a user in `sub` acts for "
        f"that user only. Scopes: {', '.join(f'`{scope}`' for scope in Scope)}.",
    },
}


def describe_access(document: dict[str, Any], permissions: Permissions, *, is_open: bool) -> None:
    """Add to the document what each operation requires, and how it refuses."""
    document.setdefault("components", {})["securitySchemes"] = SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if permissions.is_open(method.upper(), path):
                operation["security"] = []
                continue
            scope = permissions.of_template(method.upper(), path).scope
            operation["security"] = [*([{}] if is_open else []), {KEY: []}, {TOKEN: [scope.value]}]
            for status, answer in documented(*REFUSALS).items():
                operation["responses"].setdefault(str(status), answer)
