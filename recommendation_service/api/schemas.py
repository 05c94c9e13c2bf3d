"""Response schemas that several routes share."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from recommendation_service.learn.parked_messages import Parked
from recommendation_service.model.rank import RankingReason
from recommendation_service.serve.recommender import Strategy


class FromAttributes(BaseModel):
    """An answer that is read off an object with the same names."""

    model_config = ConfigDict(from_attributes=True)


class ScoredLesson(FromAttributes):
    """A lesson; scores say which is better, within one answer."""

    lesson_id: int
    score: float
    reason: RankingReason = Field(
        description="`watched_together`: users watched it near a lesson that this user watched."
        " `popular`: many watched it lately. `new`: too few watched it to rank it. `similar`: users"
        " watched it near the given lesson. `watched_next`: users watched it right after the given"
        " lesson. `next_in_course`: it comes next in the course."
    )


class Contribution(FromAttributes):
    """How much one watched lesson added to a score."""

    lesson_id: int
    contribution: float


class Recommendation(ScoredLesson):
    """A recommended lesson; `because` is there when the request asked to explain."""

    because: list[Contribution] | None = None


class Recommendations(BaseModel):
    """Lessons for a user, best first, and how fresh they are."""

    user_id: int | None = Field(description="Null for a visitor.")
    items: list[Recommendation]
    applied_through: datetime | None = Field(
        description="When the latest learned watch was recorded. With one process of each service,"
        " the answer includes every watch recorded until then; with more, a process may be behind."
        " Use `after` to wait for a certain watch."
    )
    lag_ms: int = Field(
        description="Milliseconds from the recording of the latest learned watch until it was"
        " learned. While messages wait in the queue: the age of `applied_through`."
    )
    strategy: Strategy


class Lessons(BaseModel):
    """Lessons, best first."""

    items: list[ScoredLesson]


class QueueAnswer(BaseModel):
    """Messages in the queue `recommendation.watch.*`."""

    ready: int
    unacked: int
    total: int


class RatesAnswer(FromAttributes):
    """Messages per second, over the last ten seconds."""

    publish: float
    deliver: float
    ack: float
    redelivered: float


class EventsAnswer(BaseModel):
    """Events so far. `parked` is how many messages are parked now."""

    applied: int
    duplicates: int
    parked: int


class FreshnessAnswer(BaseModel):
    """Milliseconds from the recording of a watch until it was learned."""

    p50: float
    p99: float


class ModelAnswer(BaseModel):
    """Which model answers: equal fingerprints mean equal models."""

    version: int
    fingerprint: str
    lessons: int


class Stats(BaseModel):
    """Live statistics."""

    queue: QueueAnswer
    rates: RatesAnswer
    events: EventsAnswer
    freshness_ms: FreshnessAnswer
    model: ModelAnswer


class QualityAnswer(FromAttributes):
    """Means over the evaluated events; the list has ten places."""

    hit: float = Field(serialization_alias="hit@10")
    ndcg: float = Field(serialization_alias="ndcg@10")
    mrr: float = Field(serialization_alias="mrr@10")


class ReportAnswer(FromAttributes):
    """How well the lesson that a user watched next was predicted, beside plain popularity."""

    events: int = Field(description="Next lessons of users with a history.")
    evaluated: int = Field(description="How many of them were evaluated; fewer while busy.")
    upnext: QualityAnswer
    popular: QualityAnswer


class AttributionAnswer(FromAttributes):
    """How many watches came from a list of recommendations that the user got the day before."""

    watches: int = Field(description="Of users who got such a list; of a sample, while busy.")
    from_lists: int
    share: float


class Evaluation(BaseModel):
    """Live quality: each real watch is first predicted, then learned."""

    all_time: ReportAnswer
    recent: ReportAnswer = Field(description="Over the last ten thousand events, about.")
    attribution: AttributionAnswer


class ParkedMessage(BaseModel):
    """A message that cannot be processed."""

    id: UUID
    reason: str
    detail: str
    message_id: str | None
    exchange: str
    routing_key: str
    headers: dict[str, Any]
    body: str = Field(description="As text; what is no UTF-8 is shown as a replacement mark.")
    attempts: int
    parked_at: datetime


class ParkedList(BaseModel):
    """Parked messages, the newest first. With `next_cursor`, there are more."""

    items: list[ParkedMessage]
    next_cursor: UUID | None


class Redelivered(BaseModel):
    """The outcome of a redelivery; `duplicate` when it had been learned meanwhile."""

    outcome: Literal["learned", "duplicate"]


def parked_message(message: Parked) -> ParkedMessage:
    """Return the message as callers see it."""
    shown = message._asdict() | {"body": message.body.decode(errors="replace")}
    return ParkedMessage(**shown)
