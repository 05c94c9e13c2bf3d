"""The command `upnext`."""

from typing import Annotated

import typer

from shared.server import run_to_completion
from upnext.addresses import consumption_address
from upnext.demo_command import demo_command
from upnext.import_command import import_command
from upnext.key import key
from upnext.migrate import migrate_both
from upnext.parked import parked
from upnext.rebuild import rebuild_model
from upnext.run import run as run_both

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
    run_to_completion(run_both())


@cli.command()
def migrate() -> None:
    """Bring the tables of both services to the newest version."""
    run_to_completion(migrate_both())


@cli.command()
def rebuild(
    url: Annotated[
        str | None, typer.Option(help="The consumption service; by default that of the settings.")
    ] = None,
) -> None:
    """Learn what is missing and fold the model anew, while the services go on."""
    run_to_completion(rebuild_model(url or consumption_address()))


def main() -> None:
    """Run the command line."""
    cli()
