"""Quality product: the same questions to the product as it runs, and to its model in memory.

The first watches of a stream go through POST /watches, one after the other, to both services on a
real database and broker. Before each sampled one, once everything before it is learned, GET
/users/{id}/recommendations is asked. The product answers for an archive as of the latest watch it
learned; so does the model it is compared with. The answer of GET /evaluation is compared with the
ranks that the same model gave to all these watches.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import Any, Final

import httpx
from typing_extensions import override

from benchmarks.quality_measure import LIMIT, AnswerLog, Measured, interval, measure
from benchmarks.quality_peers import TICK, Upnext
from benchmarks.quality_services import Backend, open_backend
from benchmarks.quality_stream import Questions, Watch, questions
from recommendation_service.model.history import Interaction
from recommendation_service.serve.recommender import ARCHIVE_AGE
from shared.errors import CannotStart
from tests.infrastructure.server import ServiceMissing
from tests.support.product import Product, running_product

TIMEOUT: Final = 30.0  # seconds until a watch is learned
POLL_INTERVAL: Final = 0.002  # seconds
# No exploration, and every watch teaches the weights.
SHOWN: Final = {"EXPLORE": "0", "EVALUATION_SHARE": "1"}

Log = Callable[[str], None]


class InMemory(Upnext):
    """The model, asked as of the latest watch, with every rank it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.live = AnswerLog()

    @override
    def predict(self, user: int, met: Interaction) -> int | None:
        """Note the rank, as the product does for users with a history."""
        rank = super().predict(user, met)
        if self.histories[user]:
            self.live.add_rank(user, rank or 0)
        return rank

    @override
    def recommend(self, user: int, now: float) -> list[int]:
        """Ask as of the end of an archive, or of today."""
        latest = self.model.latest
        archived = latest and time() - latest > ARCHIVE_AGE
        return super().recommend(user, latest if archived else time())


class OverHttp:
    """The product, as its callers see it."""

    def __init__(self, product: Product) -> None:
        self._watches = httpx.Client(base_url=product.consumption_url, timeout=TIMEOUT)
        self._lessons = httpx.Client(base_url=product.recommendation_url, timeout=TIMEOUT)
        self._recorded_at: datetime | None = None

    def learn(self, watch: Watch) -> None:
        """Record the watch; it is learned soon after."""
        at = datetime.fromtimestamp(watch.at, UTC).isoformat()
        body = {"user_id": watch.user, "lesson_id": watch.lesson, "position": 0, "occurred_at": at}
        stored = self._watches.post("/watches", json=body).raise_for_status().json()
        self._recorded_at = datetime.fromisoformat(stored["recorded_at"])

    def settle(self) -> None:
        """Wait until everything recorded is learned."""
        deadline = monotonic() + TIMEOUT
        while self._recorded_at and not self._is_learned(self._recorded_at):
            if monotonic() > deadline:
                raise CannotStart(f"The product did not learn a watch within {TIMEOUT:.0f} s.")
            sleep(POLL_INTERVAL)

    def recommend(self, user: int, now: float) -> list[int]:  # noqa: ARG002
        """Ask the product, which has a clock of its own."""
        answer = self._lessons.get(f"/users/{user}/recommendations", params={"limit": LIMIT})
        return [item["lesson_id"] for item in answer.raise_for_status().json()["items"]]

    def evaluation(self, events: int) -> dict[str, Any]:
        """The evaluation of the product, once it has counted so many predictable watches."""
        deadline = monotonic() + TIMEOUT
        while True:
            report: dict[str, Any] = self._lessons.get("/evaluation").json()["all_time"]
            if report["events"] >= events or monotonic() > deadline:
                return report
            sleep(0.5)

    def _is_learned(self, recorded_at: datetime) -> bool:
        nobody = {"lesson_ids": [], "limit": 1}
        answer = self._lessons.post("/recommendations", json=nobody).raise_for_status().json()
        through = answer["applied_through"]
        return bool(through) and datetime.fromisoformat(through) >= recorded_at


def through_product(watches: Sequence[Watch], log: Log) -> dict[str, object]:
    """The figures of the product and of its model in memory, and whether they agree."""
    stream = first_interactions(watches)
    asked = questions(stream)
    then = measure(Upnext(), stream, asked)
    memory = InMemory()
    as_of_latest = measure(memory, stream, asked)
    began = monotonic()
    with open_backend(log) as place:
        product, live = _replay(stream, asked, len(memory.live.users), place)
    log(f"through the product: {monotonic() - began:.0f} s")
    bounds = interval(as_of_latest.warm.users, as_of_latest.warm.gains)
    own = _live_figures(memory.live)
    return {
        "on": place.name,
        "watches": len(stream),
        "questions": len(asked.warm),
        "in_memory": then.figures,
        "in_memory_as_of_latest": as_of_latest.figures,
        "product": product.figures,
        "same_lists": _same(as_of_latest.warm.lists, product.warm.lists),
        "agrees": _within(product.warm.ndcg, bounds),
        "live_in_memory": own,
        "live": live,
        "live_agrees": _within(live["upnext"]["ndcg@10"], own["interval"]),
    }


def first_interactions(watches: Sequence[Watch]) -> list[Watch]:
    """First interactions; equal times of a user are set apart in the order of the file."""
    latest: dict[int, float] = {}
    seen: defaultdict[int, set[int]] = defaultdict(set)
    stream = []
    for watch in watches:
        if watch.lesson not in seen[watch.user]:
            at = max(watch.at, latest.get(watch.user, 0.0) + TICK)
            latest[watch.user] = at
            seen[watch.user].add(watch.lesson)
            stream.append(watch._replace(at=at))
    return stream


def _replay(
    stream: Sequence[Watch], asked: Questions, events: int, place: Backend
) -> tuple[Measured, dict[str, Any]]:
    settings = SHOWN | place.settings
    try:
        with TemporaryDirectory() as folder, running_product(Path(folder), settings) as product:
            adapter = OverHttp(product)
            measured = measure(adapter, stream, asked, adapter.settle)
            adapter.settle()
            return measured, adapter.evaluation(events)
    except httpx.HTTPError as error:
        raise CannotStart(f"The product did not answer as expected: {error}.") from None
    except ServiceMissing as error:
        raise CannotStart(f"The product cannot be asked: {error}") from None


def _live_figures(memory: AnswerLog) -> dict[str, Any]:
    """The figures of the model in memory for all watches that the product evaluates."""
    return {
        "events": len(memory.users),
        "ndcg@10": round(memory.ndcg, 4),
        "interval": interval(memory.users, memory.gains),
        "hit@10": round(memory.hit, 4),
    }


def _same(lists: Sequence[list[int]], others: Sequence[list[int]]) -> float:
    pairs = zip(lists, others, strict=True)
    return round(sum(one == other for one, other in pairs) / len(lists), 4)


def _within(value: float, bounds: Sequence[float]) -> bool:
    return bounds[0] <= value <= bounds[1]
