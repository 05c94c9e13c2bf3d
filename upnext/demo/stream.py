"""Demo stream: simulated watches, the same for the same seed.

A learner prefers a few courses, and mostly takes the next lesson of the current one; some watches
jump. A few courses are popular with many learners.
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
WATCHES_PER_LEARNER: Final = 12  # on average
JUMP_SHARE: Final = 0.1  # of the watches, to a lesson out of order
COURSE_CHANGE_SHARE: Final = 0.15  # of the watches, to another course
COMPLETED_SHARE: Final = 0.8  # of the watches
DAYS: Final = 7.0  # length of the stream


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
    """A simulated learner."""

    user_id: int
    preferences: list[float]  # a weight for each course
    course: int  # the current one
    reached: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))  # lessons

    def choose(self, random: Random) -> int:
        """Return the lesson that is watched next."""
        if random.random() < COURSE_CHANGE_SHARE or self.reached[self.course] == LESSONS:
            self.course = _choose_course(self.preferences, random)
        if random.random() < JUMP_SHARE or self.reached[self.course] == LESSONS:
            return lesson_id(_choose_course(self.preferences, random), random.randrange(LESSONS))
        self.reached[self.course] += 1
        return lesson_id(self.course, self.reached[self.course] - 1)


def lesson_id(course: int, lesson: int) -> int:
    """Return an id that a reader can read: 304 is the fourth lesson of the third course."""
    return 100 * (course + 1) + lesson + 1


def title(lesson: int) -> str:
    """Return the title of the lesson."""
    return f"{SUBJECTS[lesson // 100 - 1]} {lesson % 100}"


def catalogue() -> list[dict[str, str | int]]:
    """Return the lessons as a course system describes them."""
    return [
        {
            "lesson_id": lesson_id(course, index),
            "title": title(lesson_id(course, index)),
            "duration": _duration(lesson_id(course, index)),
            "course_id": course + 1,
            "course_order": index + 1,
        }
        for course in range(COURSES)
        for index in range(LESSONS)
    ]


def simulate(count: int, seed: int) -> Iterator[SimulatedWatch]:
    """Yield so many watches in order of time; the last one is now."""
    random = Random(seed)  # noqa: S311 - a simulation
    learners = [
        _learner(user_id, random) for user_id in range(1, max(count // WATCHES_PER_LEARNER, 3) + 1)
    ]
    ages = sorted((random.random() * DAYS * 86_400 for _ in range(count - 1)), reverse=True)
    for age in [*ages, 0.0][:count]:
        learner = random.choice(learners)
        lesson = learner.choose(random)
        duration = _duration(lesson)
        watched = 1.0 if random.random() < COMPLETED_SHARE else random.random()
        yield SimulatedWatch(learner.user_id, lesson, int(watched * duration), duration, age)


def _duration(lesson: int) -> int:
    return 300 + 60 * (lesson % 11)


def _learner(user_id: int, random: Random) -> Learner:
    """Return a learner with three favourite courses, more often the first courses."""
    favourites = random.choices(range(COURSES), [1 / (1 + n) for n in range(COURSES)], k=3)
    preferences = [10.0 if course in favourites else 0.2 for course in range(COURSES)]
    return Learner(user_id, preferences, _choose_course(preferences, random))


def _choose_course(weights: list[float], random: Random) -> int:
    return random.choices(range(len(weights)), weights)[0]
