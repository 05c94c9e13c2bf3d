"""Query and path parameters that several routes share."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.convertors import Convertor, register_url_convertor
from typing_extensions import override

from recommendation_service.model.eligible import Labels
from recommendation_service.serve.recommender import Request
from shared.ids import MAX_INTEGER, LessonId
from shared.lessons import Tag

PathId = Annotated[int, Field(ge=0, lt=MAX_INTEGER + 1)]

Tagged = Annotated[
    list[Tag], Field(max_length=100, description="Only lessons with this tag; repeated: with all.")
]

InCourse = Annotated[
    int | None, Field(ge=0, lt=MAX_INTEGER + 1, description="Only lessons of this course.")
]


class Asked(BaseModel):
    """What a list of lessons is asked for with; each is a query parameter."""

    limit: int = Field(default=10, ge=1, le=100, description="How many lessons at most.")
    exclude: list[PathId] = Field(
        default=[], max_length=1000, description="Lessons to leave out; repeat the parameter."
    )
    tag: Tagged = []
    course_id: InCourse = None

    def request(self, *, explain: bool = False) -> Request:
        """Return what is asked for."""
        excluded = frozenset(LessonId(number) for number in self.exclude)
        return Request(self.limit, excluded, explain, labels_of(self.tag, self.course_id))


class Number(Convertor[str]):
    """A part of a path that is a number: other words may stand in its place."""

    regex = "-?[0-9]+"

    @override
    def convert(self, value: str) -> str:
        return value

    @override
    def to_string(self, value: str) -> str:
        return value


register_url_convertor("number", Number())


def labels_of(tags: Sequence[str], course_id: int | None) -> Labels:
    """Return what a lesson has to have."""
    return frozenset((*tags, *(() if course_id is None else (course_id,))))
