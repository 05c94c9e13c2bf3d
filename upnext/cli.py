"""The command `upnext`.

Modules of the services are imported by the commands that need them: their import takes longer than
most other commands take altogether.
"""

from typing import Annotated

import typer

from shared.process.program import run_to_completion
from upnext.addresses import consumption_address
from upnext.demo.command import demo_command
from upnext.import_watches.command import import_command
from upnext.key import key
from upnext.parked import parked

cli = typer.Typer(
    help="Record what is watched, and recommend what to watch next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command("demo")(demo_command)
cli.command("import")(import_command)
cli.command("key")(key)
cli.add_typer(parked, name="parked")


@cli.command()
def run() -> None:
    """Start both services in this process, until Ctrl-C."""
    from upnext.run import run as run_both  # noqa: PLC0415

    run_to_completion(run_both())


@cli.command()
def migrate() -> None:
    """Bring the tables of both services to the newest version."""
    from upnext.migrate import migrate_both  # noqa: PLC0415

    run_to_completion(migrate_both())


@cli.command()
def rebuild(
    url: Annotated[
        str | None, typer.Option(help="The consumption service; by default that of the settings.")
    ] = None,
) -> None:
    """Learn what is missing and fold the model anew, while the services go on."""
    from upnext.rebuild import rebuild_model  # noqa: PLC0415

    run_to_completion(rebuild_model(url or consumption_address()))


def main() -> None:
    """Run the command line."""
    cli()
