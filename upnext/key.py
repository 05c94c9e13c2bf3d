"""Key: make an API key. The key is for its user, the line with its hash for the services."""

from typing import Annotated

import typer

from shared.access.caller import Scope
from shared.access.keys import key_line, new_key, parse_keys


def key(
    name: Annotated[str, typer.Argument(help="Who will use it; shows in limits and logs.")],
    scope: Annotated[list[Scope], typer.Option(help="What it is good for; repeat it for several.")],
) -> None:
    """Make an API key, and print it with the line that API_KEYS needs.

    The first line is the key. It is shown this once: give it to whoever will use it, who sends it
    as `Authorization: Bearer …`. The second is for the setting API_KEYS of the services, and no
    secret.
    """
    made = new_key()
    line = key_line(made, name, scope)
    parse_keys(line)
    typer.echo(made)
    typer.echo(line)
