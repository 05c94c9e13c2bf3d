"""Parameters of queries and paths that several routes share."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.convertors import Convertor, register_url_convertor
from typing_extensions import override

from recommendation_service.model.eligible_lessons import Labels
from recommendation_service.serve.recommender import ListRequest
from shared.ids import MAX_INTEGER, LessonId
from shared.lessons import Tag

PathId = Annotated[int, Field(ge=0, lt=MAX_INTEGER + 1)]

TagFilter = Annotated[
    list[Tag], Field(max_length=100, description="Only lessons with this tag; repeated: with all.")
]

CourseFilter = Annotated[
    int | None, Field(ge=0, lt=MAX_INTEGER + 1, description="Only lessons of this course.")
]


class ListParameters(BaseModel):
    """The query parameters of each list of lessons."""

    limit: int = Field(default=10, ge=1, le=100, description="How many lessons at most.")
    exclude: list[PathId] = Field(
        default=[], max_length=1000, description="Lessons to leave out; repeat the parameter."
    )
    tag: TagFilter = []
    course_id: CourseFilter = None

    def request(self, *, explain: bool = False) -> ListRequest:
        """Return the request that they describe."""
        excluded = frozenset(LessonId(number) for number in self.exclude)
        return ListRequest(self.limit, excluded, explain, labels_of(self.tag, self.course_id))


class Number(Convertor[str]):
    """A number in a path, so that other routes may have words in its place."""

    regex = "-?[0-9]+"

    @override
    def convert(self, value: str) -> str:
        return value

    @override
    def to_string(self, value: str) -> str:
        return value


register_url_convertor("number", Number())


def labels_of(tags: Sequence[str], course_id: int | None) -> Labels:
    """Return the labels that a lesson has to have."""
    return frozenset((*tags, *(() if course_id is None else (course_id,))))
