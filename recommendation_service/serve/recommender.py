"""Recommender: reads the model's inputs for an answer, and tells how fresh the answer is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple

from recommendation_service.learn.recent_interactions import MAX_HISTORY, watched_among
from recommendation_service.model.eligible_lessons import EligibleLessons, Labels
from recommendation_service.model.explain import Influence
from recommendation_service.model.explore import ANONYMOUS_RECIPIENT, Recipient
from recommendation_service.model.history import Interaction
from recommendation_service.model.model import Model, Window
from recommendation_service.model.rank import RankedLesson, RankingReason
from recommendation_service.model.rank_batch import RankingRequest
from recommendation_service.replicate.model_replica import ModelReplica
from recommendation_service.serve.batched_ranking import BatchedRanking
from recommendation_service.serve.batched_reads import BatchedReads
from recommendation_service.serve.courses import next_in_course, read_finished
from recommendation_service.serve.hidden_lessons import read_hidden
from recommendation_service.stats import LiveStats
from shared.clock import utc_now
from shared.database.database import Database
from shared.ids import LessonId, UserId

ARCHIVE_AGE: Final = 30 * 86400.0  # seconds; if the last watch is older, the data is an archive
MAX_NEXT: Final = 1000  # next lessons of which it is read whether the user finished them
OVERFETCH_FACTORS: Final = (10, 100)  # times the requested number of lessons, tried one by one

Strategy = Literal["personal", "popular"]


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which lessons are requested."""

    limit: int
    exclude: Collection[LessonId] = ()
    explain: bool = False
    labels: Labels = frozenset()  # that a lesson has to have


@dataclass(frozen=True, slots=True)
class RecommendedLesson:
    """A recommended lesson, on request with the watched lessons that influenced its score."""

    lesson_id: LessonId
    score: float
    reason: RankingReason
    because: Sequence[Influence] | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """Everything recorded until `applied_through` is in an answer; `lag_ms` tells the delay."""

    applied_through: datetime | None
    lag_ms: int


class BatchItem(NamedTuple):
    """A request for a user or a visitor with this history, oldest first."""

    history: Sequence[Interaction]
    request: ListRequest
    user_id: UserId | None = None  # None: no new lessons are mixed in


class Recommender:
    """Answers from the model of this process and the histories in the database."""

    def __init__(
        self, database: Database, replica: ModelReplica, stats: LiveStats, explore: float
    ) -> None:
        self._database = database
        self._reads = BatchedReads(database)
        self._ranking = BatchedRanking(self._rank_all)
        self._replica = replica
        self._stats = stats
        self._explore = explore

    @property
    def _model(self) -> Model:
        return self._replica.model

    async def for_user(
        self, user_id: UserId, request: ListRequest
    ) -> tuple[list[RecommendedLesson], Strategy]:
        """Return the best lessons that the user has not watched, best first."""
        history, hidden = await self._reads.read(user_id)
        request = replace(request, exclude={*request.exclude, *hidden})
        if len(history) < MAX_HISTORY:
            found = await self._ranking.rank(BatchItem(history, request, user_id))
        else:
            found = await self._rank_long_history(user_id, history, request)
        return self._items(history, request, found), "personal" if history else "popular"

    def for_visitor(
        self, lessons: Sequence[LessonId], request: ListRequest
    ) -> list[RecommendedLesson]:
        """Return the best lessons for a visitor who just watched these, oldest first."""
        now = self._now()
        history = [Interaction(lesson, now) for lesson in dict.fromkeys(lessons)]
        (found,) = self._rank_all([BatchItem(history, request)])
        return self._items(history, request, found)

    def _rank_all(self, batch: Sequence[BatchItem]) -> list[list[RankedLesson]]:
        return self._model.recommend_all(
            [self._ranking_request(item) for item in batch], self._now()
        )

    def _ranking_request(self, item: BatchItem) -> RankingRequest:
        history, request, user_id = item
        recipient = ANONYMOUS_RECIPIENT if user_id is None else Recipient(user_id, self._explore)
        recipient = recipient._replace(eligible=self._eligible(request.labels))
        return RankingRequest(history, request.limit, request.exclude, recipient)

    def _eligible(self, labels: Labels) -> EligibleLessons:
        """Return which lessons are available now, even if the answer is for another time."""
        return self._model.eligibility.eligible(labels, utc_now().timestamp())

    async def _rank_long_history(
        self, user_id: UserId, history: Sequence[Interaction], request: ListRequest
    ) -> list[RankedLesson]:
        """Return the best lessons for a user whose history is longer than what was read of it.

        More lessons than requested are ranked by the part that was read, and looked up in the whole
        history. A robot that has watched thousands of lessons gets fewer than it requested.
        """
        left: list[RankedLesson] = []
        for factor in OVERFETCH_FACTORS:
            deeper = replace(request, limit=factor * request.limit)
            found = await self._ranking.rank(BatchItem(history, deeper))
            lessons = [one.lesson_id for one in found]
            async with self._database.read() as connection:
                met = await watched_among(self._database, connection, user_id, lessons)
            left = [one for one in found if one.lesson_id not in met][: request.limit]
            if len(left) == request.limit:
                break
        return left

    def _items(
        self, history: Sequence[Interaction], request: ListRequest, found: Sequence[RankedLesson]
    ) -> list[RecommendedLesson]:
        if not request.explain:
            return [RecommendedLesson(*one) for one in found]
        explained = self._model.explain(history, self._now(), found)
        return [
            RecommendedLesson(*one, because) for one, because in zip(found, explained, strict=True)
        ]

    def similar(self, lesson_id: LessonId, request: ListRequest) -> list[RankedLesson]:
        """Return the lessons that the same users watch, most similar first."""
        more = request.limit + len(request.exclude)
        found = self._model.similar(lesson_id, more, self._eligible(request.labels))
        return _without(found, request)

    def next(self, lesson_id: LessonId, request: ListRequest) -> list[RankedLesson]:
        """Return the next lesson of the course, then what users watch next, most frequent first."""
        return self._next(lesson_id, request, wrap_around=False)

    def _next(
        self, lesson_id: LessonId, request: ListRequest, *, wrap_around: bool
    ) -> list[RankedLesson]:
        eligible = self._eligible(request.labels)
        course = self._replica.catalogue.course_of(lesson_id)
        excluded = {lesson_id, *request.exclude}
        unavailable = (
            one for one in course if not self._model.is_eligible(one.lesson_id, eligible)
        )
        excluded.update(one.lesson_id for one in unavailable)
        in_course = next_in_course(course, lesson_id, excluded, wrap_around=wrap_around)
        first = [] if in_course is None else [RankedLesson(in_course, 1.0, "next_in_course")]
        found = self._model.next(lesson_id, request.limit + len(excluded) + 1, eligible)
        then = [one for one in found if one.lesson_id not in (*excluded, in_course)]
        return [*first, *then][: request.limit]

    async def next_for_user(
        self, user_id: UserId, lesson_id: LessonId, request: ListRequest
    ) -> list[RankedLesson]:
        """Return the same without what the user finished or hides.

        After the end of the course it goes on with lessons that the user left out.
        """
        catalogue = self._replica.catalogue
        candidates = {one.lesson_id for one in catalogue.course_of(lesson_id)}
        candidates.update(one.lesson_id for one in self._model.next(lesson_id, MAX_NEXT))
        durations = {one: catalogue.duration_of(one) for one in candidates}
        async with self._database.read() as connection:
            hidden = await read_hidden(connection, user_id)
            finished = await read_finished(self._database, connection, user_id, durations)
        excluded = {*request.exclude, *finished, *(one.lesson_id for one in hidden)}
        return self._next(lesson_id, replace(request, exclude=excluded), wrap_around=True)

    def popular(self, window: Window, request: ListRequest) -> list[RankedLesson]:
        """Return the lessons with most interactions, by counts that decay over the window."""
        eligible = self._eligible(request.labels)
        return self._model.popular(window, self._now(), request.limit, request.exclude, eligible)

    def freshness(self) -> Freshness:
        """Return how fresh an answer given now is.

        With a backlog, the lag is the age of the latest learned event; without one, the delay of
        that event. The backlog is sampled each second (`LiveStats.backlog`), so the lag may miss a
        new message for a second.
        """
        through, delays = self._replica.applied_through, self._stats.delays
        if through and self._stats.backlog:
            return Freshness(through, int((utc_now() - through).total_seconds() * 1000))
        return Freshness(through, int(delays[-1]) if delays else 0)

    def _now(self) -> float:
        """Return the time to answer for: now, or the end of an archive.

        Watches from years ago do not show what is popular now. If there are no others, the answer
        is for the time of the last watch.
        """
        now = utc_now().timestamp()
        latest = self._model.latest
        return latest if latest and now - latest > ARCHIVE_AGE else now


def _without(found: Sequence[RankedLesson], request: ListRequest) -> list[RankedLesson]:
    return [one for one in found if one.lesson_id not in request.exclude][: request.limit]
