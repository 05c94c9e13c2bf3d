"""Demo command: the options of `upnext demo`."""

from typing import Annotated

import typer
from rich.console import Console

from shared.process.program import run_to_completion
from upnext.addresses import consumption_address, recommendation_address
from upnext.demo.demo import Services, demo
from upnext.demo.stream import simulate


def demo_command(
    watches: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same learners.")] = 1,
) -> None:
    """Let simulated learners watch, and show what some of them are recommended.

    For trying out: what they watch stays in the database, as users 1, 2, 3 and so on.
    """

    async def work() -> None:
        services = Services(consumption_address(), recommendation_address())
        console = Console(stderr=True, markup=False, highlight=False)
        await demo(services, list(simulate(watches, seed)), console)

    run_to_completion(work())
