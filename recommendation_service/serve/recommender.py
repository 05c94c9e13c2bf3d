"""Serve: gather what the model needs to answer, and say how fresh the answer is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple

from recommendation_service.learn.recent_interactions import MAX_HISTORY, watched_among
from recommendation_service.model.eligible import EligibleLessons, Labels
from recommendation_service.model.explain import Influence
from recommendation_service.model.explore import ANONYMOUS, Recipient
from recommendation_service.model.history import Interaction
from recommendation_service.model.model import Model, Window
from recommendation_service.model.rank import Reason, Scored
from recommendation_service.model.rank_batch import RankingRequest
from recommendation_service.replicate.model import ModelReplica
from recommendation_service.serve.batched_ranking import GroupRank
from recommendation_service.serve.batched_reads import GroupRead
from recommendation_service.serve.courses import finished_by, next_in_course
from recommendation_service.serve.hidden_lessons import hidden_by
from recommendation_service.stats import LiveStats
from shared.clock import utc_now
from shared.database.database import Database
from shared.ids import LessonId, UserId

ARCHIVE_AGE: Final = 30 * 86400.0  # seconds; when the last watch is older, all of it is an archive
MAX_FINISHED: Final = 1000  # lessons of which it is looked up whether the user finished them
DEPTHS: Final = (10, 100)  # times as many as asked for: how many of the best are looked at

Strategy = Literal["personal", "popular"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    limit: int
    exclude: Collection[LessonId] = ()
    explain: bool = False
    labels: Labels = frozenset()  # what a lesson has to have


@dataclass(frozen=True, slots=True)
class Item:
    """A recommended lesson, with the watched ones that led there when asked for."""

    lesson_id: LessonId
    score: float
    reason: Reason
    because: Sequence[Influence] | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an answer knows: everything recorded until then, and how late that is."""

    applied_through: datetime | None
    lag_ms: int


class Asked(NamedTuple):
    """What is asked for somebody who met these lessons, oldest first."""

    history: Sequence[Interaction]
    request: Request
    user_id: UserId | None = None  # of whoever gets some new lessons


class Recommender:
    """Answers from the model of this process and the histories in the database."""

    def __init__(
        self, database: Database, replica: ModelReplica, stats: LiveStats, explore: float
    ) -> None:
        self._database = database
        self._histories = GroupRead(database)
        self._lists = GroupRank(self._rank_all)
        self._replica = replica
        self._stats = stats
        self._explore = explore

    @property
    def _model(self) -> Model:
        return self._replica.model

    async def for_user(self, user_id: UserId, request: Request) -> tuple[list[Item], Strategy]:
        """Return the best lessons that the user has not met, best first."""
        history, hidden = await self._histories.known(user_id)
        request = replace(request, exclude={*request.exclude, *hidden})
        if len(history) < MAX_HISTORY:
            found = await self._lists.ranked(Asked(history, request, user_id))
        else:
            found = await self._not_met(user_id, history, request)
        return self._items(history, request, found), "personal" if history else "popular"

    def for_visitor(self, lessons: Sequence[LessonId], request: Request) -> list[Item]:
        """Return the best lessons for somebody who just watched these, oldest first."""
        now = self._now()
        history = [Interaction(lesson, now) for lesson in dict.fromkeys(lessons)]
        (found,) = self._rank_all([Asked(history, request)])
        return self._items(history, request, found)

    def _rank_all(self, asked: Sequence[Asked]) -> list[list[Scored]]:
        return self._model.recommend_all([self._wanted(one) for one in asked], self._now())

    def _wanted(self, asked: Asked) -> RankingRequest:
        history, request, user_id = asked
        recipient = ANONYMOUS if user_id is None else Recipient(user_id, self._explore)
        recipient = recipient._replace(eligible=self._view(request.labels))
        return RankingRequest(history, request.limit, request.exclude, recipient)

    def _view(self, labels: Labels) -> EligibleLessons:
        """Return what may be shown: by the clock, even where the answer is for another time."""
        return self._model.eligibility.eligible(labels, utc_now().timestamp())

    async def _not_met(
        self, user_id: UserId, history: Sequence[Interaction], request: Request
    ) -> list[Scored]:
        """Return the best lessons for a user whose history is longer than what was read of it.

        The best that the part leads to are looked up in the whole. A robot that has met thousands
        of them gets fewer than it asked for.
        """
        left: list[Scored] = []
        for depth in DEPTHS:
            deeper = replace(request, limit=depth * request.limit)
            found = await self._lists.ranked(Asked(history, deeper))
            lessons = [one.lesson_id for one in found]
            async with self._database.read() as connection:
                met = await watched_among(self._database, connection, user_id, lessons)
            left = [one for one in found if one.lesson_id not in met][: request.limit]
            if len(left) == request.limit:
                break
        return left

    def _items(
        self, history: Sequence[Interaction], request: Request, found: Sequence[Scored]
    ) -> list[Item]:
        if not request.explain:
            return [Item(*one) for one in found]
        explained = self._model.explain(history, self._now(), found)
        return [Item(*one, because) for one, because in zip(found, explained, strict=True)]

    def similar(self, lesson_id: LessonId, request: Request) -> list[Scored]:
        """Return the lessons that the same users meet, most similar first."""
        more = request.limit + len(request.exclude)
        found = self._model.similar(lesson_id, more, self._view(request.labels))
        return _without(found, request)

    def next(self, lesson_id: LessonId, request: Request) -> list[Scored]:
        """Return what comes next in the course, then what users meet right after, most first."""
        return self._next(lesson_id, request, around=False)

    def _next(self, lesson_id: LessonId, request: Request, *, around: bool) -> list[Scored]:
        view = self._view(request.labels)
        course = self._replica.catalogue.course_of(lesson_id)
        out = {lesson_id, *request.exclude}
        out.update(
            one.lesson_id for one in course if not self._model.is_eligible(one.lesson_id, view)
        )
        coming = next_in_course(course, lesson_id, out, around=around)
        first = [] if coming is None else [Scored(coming, 1.0, "next_in_course")]
        found = self._model.next(lesson_id, request.limit + len(out) + 1, view)
        then = [one for one in found if one.lesson_id not in (*out, coming)]
        return [*first, *then][: request.limit]

    async def next_for_user(
        self, user_id: UserId, lesson_id: LessonId, request: Request
    ) -> list[Scored]:
        """Return the same, without what the user finished or hides, nor leaving out a lesson."""
        after = self._model.next(lesson_id, MAX_FINISHED)
        catalogue = self._replica.catalogue
        considered = {one.lesson_id for one in catalogue.course_of(lesson_id)}
        considered.update(one.lesson_id for one in after)
        durations = {one: catalogue.duration_of(one) for one in considered}
        async with self._database.read() as connection:
            hidden = await hidden_by(connection, user_id)
            finished = await finished_by(self._database, connection, user_id, durations)
        out = {*request.exclude, *finished, *(one.lesson_id for one in hidden)}
        return self._next(lesson_id, replace(request, exclude=out), around=True)

    def popular(self, window: Window, request: Request) -> list[Scored]:
        """Return the lessons that were met most, by counts that are forgotten over the window."""
        view = self._view(request.labels)
        return self._model.popular(window, self._now(), request.limit, request.exclude, view)

    def freshness(self) -> Freshness:
        """Return how fresh an answer given now is."""
        through = self._replica.applied_through
        if through and self._stats.ready + self._stats.unacked:
            return Freshness(through, int((utc_now() - through).total_seconds() * 1000))
        delays = self._stats.delays
        return Freshness(through, int(delays[-1]) if delays else 0)

    def _now(self) -> float:
        """Return the time to answer for: now, or the end of an archive.

        Watches from years ago say nothing of what is popular today. Where there are no others,
        the answer is the one that would have been given when the last of them happened.
        """
        now = utc_now().timestamp()
        latest = self._model.latest
        return latest if latest and now - latest > ARCHIVE_AGE else now


def _without(found: Sequence[Scored], request: Request) -> list[Scored]:
    return [one for one in found if one.lesson_id not in request.exclude][: request.limit]
