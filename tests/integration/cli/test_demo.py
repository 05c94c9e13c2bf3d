"""`upnext demo`, run as people run it."""

from collections import Counter
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.http_client import ask
from tests.support.product import Product, running_product
from upnext.demo.stream import LESSONS, simulate


async def test_the_demo_shows_what_three_learners_should_watch_next(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        done = product.run("demo", "--watches=300")

        assert done.returncode == 0, done.stderr
        assert "300 watches are recorded, and learned" in done.stdout
        assert done.stdout.count("last. Up next:") == 3
        assert "because you watched" in done.stdout
        lesson = ask(f"{product.recommendation_url}/lessons/304").json()
        assert (lesson["title"], lesson["course_id"]) == ("Statistics 4", 3)
        assert f"curl '{product.recommendation_url}/users/" in done.stdout
        await eventually(lambda: product.applied() == 300)


async def test_the_demo_without_the_services_is_one_sentence(tmp_path: Path) -> None:
    done = Product(tmp_path).run("demo")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "make run" in done.stderr


def test_the_same_seed_gives_the_same_stream() -> None:
    assert list(simulate(500, seed=3)) == list(simulate(500, seed=3))
    assert list(simulate(500, seed=3)) != list(simulate(500, seed=4))


def test_the_stream_is_in_order_and_ends_now() -> None:
    ages = [watch.age for watch in simulate(500, seed=1)]

    assert ages == sorted(ages, reverse=True)
    assert len(ages) == 500
    assert ages[-1] == 0.0


def test_most_watches_follow_the_course() -> None:
    last: dict[int, int] = {}
    steps: Counter[bool] = Counter()
    for watch in simulate(5000, seed=1):
        before = last.get(watch.user_id)
        steps[watch.lesson_id - 1 == before] += 1
        last[watch.user_id] = watch.lesson_id

    assert steps[True] > steps[False]
    assert all(1 <= lesson % 100 <= LESSONS for lesson in last.values())
