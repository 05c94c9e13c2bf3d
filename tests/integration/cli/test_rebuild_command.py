"""`upnext rebuild` on the running product: the same model, and nobody waits for it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from shared.process.background import running
from tests.support.eventually import eventually
from tests.support.http_client import open_client
from tests.support.product import Product, running_product

USERS, LATER, LESSONS = 12, 4, 20  # later: while the model is rebuilt
PACE = 0.02  # seconds between two questions; the processor is for the rebuilding, too


async def record(product: Product, users: range) -> None:
    """Each user watches some lessons."""
    async with open_client(product.consumption_url) as client:
        for user in users:
            for lesson in range(LESSONS):
                body = {"user_id": user, "lesson_id": (user + lesson) % 40, "position": 1}
                (await client.post("/watches", json=body)).raise_for_status()


@asynccontextmanager
async def in_use(product: Product) -> AsyncGenerator[list[int]]:
    """Ask for recommendations all the time; give how many there were in each answer."""
    answers: list[int] = []

    async def ask() -> None:
        async with open_client(product.recommendation_url) as client:
            while True:
                answer = (await client.get("/users/3/recommendations")).raise_for_status()
                answers.append(len(answer.json()["items"]))
                await asyncio.sleep(PACE)

    async with running(ask(), "ask"):
        yield answers


async def learned(product: Product, users: int) -> str:
    """Wait until everything is learned; return the model's fingerprint."""
    await eventually(lambda: product.applied() == users * LESSONS)
    return str(product.stats()["model"]["fingerprint"])


async def test_it_ends_in_the_same_model_while_the_service_answers(
    tmp_path: Path, product_settings: Mapping[str, str]
) -> None:
    with running_product(tmp_path, product_settings) as product:
        await record(product, range(USERS))
        before = await learned(product, USERS)

        async with in_use(product) as answers:
            quiet = await asyncio.to_thread(product.run, "rebuild")
            busy, _ = await asyncio.gather(
                asyncio.to_thread(product.run, "rebuild"),
                record(product, range(USERS, USERS + LATER)),
            )

        after = await learned(product, USERS + LATER)
        last = await asyncio.to_thread(product.run, "rebuild")

    assert (quiet.returncode, busy.returncode) == (0, 0), quiet.stderr + busy.stderr
    assert f"{before}: the same model as before" in quiet.stdout
    assert f"{after}: the same model as before" in last.stdout
    assert answers
    assert set(answers) == {10}
