"""The command `upnext`."""

import typer

from shared.server import run_to_completion
from upnext.demo_command import demo_command
from upnext.import_command import import_command
from upnext.migrate import migrate_both
from upnext.run import run as run_both

cli = typer.Typer(
    help="Record what is watched, and recommend what to watch next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command("demo")(demo_command)
cli.command("import")(import_command)


@cli.command()
def run() -> None:
    """Start both services in this process, until Ctrl-C."""
    run_to_completion(run_both())


@cli.command()
def migrate() -> None:
    """Bring the tables of both services to the newest version."""
    run_to_completion(migrate_both())


def main() -> None:
    """Run the command line."""
    cli()
