"""Demo stream: what simulated learners watch, the same for the same seed.

A learner has a taste for a few courses, and mostly takes the next lesson of the one begun; some
watches jump. A few courses are liked by many, as everywhere.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

SUBJECTS: Final = (  # a course each
    *("Algebra", "Geometry", "Statistics", "Physics", "Chemistry", "Biology"),
    *("Python", "Databases", "Networks", "History", "Music", "Drawing"),
)
COURSES: Final = len(SUBJECTS)
LESSONS: Final = 10  # of each course
WATCHES_OF_A_LEARNER: Final = 12  # on average
JUMPS: Final = 0.1  # of the watches, to a lesson out of order
CHANGES: Final = 0.15  # of the watches begin or take up another course
WATCHES_TO_THE_END: Final = 0.8  # of the watches
DAYS: Final = 7.0  # the stream is spread over so many


@dataclass(frozen=True, slots=True)
class SimulatedWatch:
    """A learner's watch of a lesson, so many seconds before the end of the stream."""

    user_id: int
    lesson_id: int
    position: int
    duration: int
    age: float


@dataclass(slots=True)
class Learner:
    """Somebody who watches."""

    user_id: int
    taste: list[float]  # one weight for each course
    course: int  # the one begun
    reached: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))  # lessons

    def choose(self, random: Random) -> int:
        """Return the lesson that is watched now."""
        if random.random() < CHANGES or self.reached[self.course] == LESSONS:
            self.course = _one_of(self.taste, random)
        if random.random() < JUMPS or self.reached[self.course] == LESSONS:
            return lesson_id(_one_of(self.taste, random), random.randrange(LESSONS))
        self.reached[self.course] += 1
        return lesson_id(self.course, self.reached[self.course] - 1)


def lesson_id(course: int, lesson: int) -> int:
    """Return an id that a reader can read: 304 is the fourth lesson of the third course."""
    return 100 * (course + 1) + lesson + 1


def title(lesson: int) -> str:
    """Return what the lesson of this id is called."""
    return f"{SUBJECTS[lesson // 100 - 1]} {lesson % 100}"


def catalogue() -> list[dict[str, str | int]]:
    """Return what a course system would say of the lessons."""
    return [
        {
            "lesson_id": lesson_id(course, place),
            "title": title(lesson_id(course, place)),
            "duration": _duration(lesson_id(course, place)),
            "course_id": course + 1,
            "course_order": place + 1,
        }
        for course in range(COURSES)
        for place in range(LESSONS)
    ]


def simulate(count: int, seed: int) -> Iterator[SimulatedWatch]:
    """Yield so many watches in the order of time; the last one is now."""
    random = Random(seed)  # noqa: S311 - a simulation
    learners = [
        _learner(user_id, random) for user_id in range(1, max(count // WATCHES_OF_A_LEARNER, 3) + 1)
    ]
    ages = sorted((random.random() * DAYS * 86_400 for _ in range(count - 1)), reverse=True)
    for age in [*ages, 0.0][:count]:
        learner = random.choice(learners)
        lesson = learner.choose(random)
        duration = _duration(lesson)
        share = 1.0 if random.random() < WATCHES_TO_THE_END else random.random()
        yield SimulatedWatch(learner.user_id, lesson, int(share * duration), duration, age)


def _duration(lesson: int) -> int:
    return 300 + 60 * (lesson % 11)


def _learner(user_id: int, random: Random) -> Learner:
    """Return a learner with three favourite courses; the first courses please many."""
    favourites = random.choices(range(COURSES), [1 / (1 + n) for n in range(COURSES)], k=3)
    taste = [10.0 if course in favourites else 0.2 for course in range(COURSES)]
    return Learner(user_id, taste, _one_of(taste, random))


def _one_of(weights: list[float], random: Random) -> int:
    return random.choices(range(len(weights)), weights)[0]
