"""The oracle, the same for every fault.

A watch that was answered with 2xx is learned, once. A watch that was learned without a 2xx is one
whose client saw an error or no answer. Nothing that could be processed is parked, nothing is left
in the outbox, and the model is the one that a process folds anew from what is stored.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from recommendation_service.replicate.model_replica import ModelReplica
from shared.database.database import open_database
from tests.faults.load import Answers
from tests.faults.stored import inbox_of, learned_in, outbox_size, watches_in
from tests.faults.system import System
from tests.support.eventually import eventually

SETTLING_TIMEOUT: Final = 100.0  # seconds
BETWEEN_LOOKS: Final = 0.1  # seconds; the services want the processor more


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the watches."""

    accepted: int  # answered with 2xx
    learned: int
    lost: int  # answered with 2xx, and not learned
    twice: int  # learned more than once
    invented: int  # learned, although nobody asked for it
    dropped: int  # deliveries of what had been learned already
    slowest: float  # seconds until the slowest 2xx


async def judge(system: System, answers: Answers) -> Verdict:
    """Wait until nothing moves any more, and count."""
    with suppress(AssertionError):  # what is missing then is lost
        await eventually(lambda: _is_settled(system), SETTLING_TIMEOUT)
    learned = await learned_in(system.places.recommendation_database)
    events = (await system.stats())["events"]
    pairs = list(learned.watches.values())
    asked_for = answers.unknown | set(answers.accepted.values())
    repeated = len(pairs) - len(set(pairs))
    return Verdict(
        accepted=len(answers.accepted),
        learned=len(learned.inbox),
        lost=len(answers.accepted.keys() - learned.inbox),
        twice=max(repeated, events["applied"] - len(learned.inbox)),
        invented=len(set(pairs) - asked_for),
        dropped=events["duplicates"],
        slowest=round(answers.slowest, 2),
    )


async def _is_settled(system: System) -> bool:
    await asyncio.sleep(BETWEEN_LOOKS)
    places = system.places
    if await outbox_size(places.consumption_database):
        return False
    recorded = await watches_in(places.consumption_database)
    return recorded <= await inbox_of(places.recommendation_database)


async def check(system: System, verdict: Verdict, parked: int) -> None:
    """Fail unless every promise was kept; `parked` messages are expected to stay parked."""
    assert (verdict.lost, verdict.twice, verdict.invented) == (0, 0, 0), verdict
    places = system.places
    assert await outbox_size(places.consumption_database) == 0
    learned = await learned_in(places.recommendation_database)
    assert learned.inbox == learned.watches.keys()  # each event is the creation of one watch
    assert learned.strays == 0
    events = (await system.stats())["events"]
    assert events["applied"] == verdict.learned
    assert events["parked"] == learned.parked == parked
    await check_model(system)


async def check_model(system: System) -> None:
    """The process that learned knows the same model as one that starts now."""
    async with open_database(system.places.recommendation_database) as database:
        anew = ModelReplica(database)
        await anew.load()
    known = (await system.stats())["model"]
    assert known["fingerprint"] == f"{anew.model.fingerprint:032x}"
    assert known["version"] == anew.version > 0
