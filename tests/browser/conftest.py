"""A real browser, and the product with somebody's watches in it."""

import json
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from shared.broker.connect import open_broker
from shared.broker.interface import Message, PublishOutcome
from shared.broker.topology import RECOMMENDATION_WATCH, WATCH
from tests.infrastructure import fresh_vhost
from tests.support.eventually import within
from tests.support.http_client import tell
from tests.support.product import Product, running_product
from tests.support.repository import ROOT

# Nothing but the pages that it is asked for, and as root.
OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 100_000  # milliseconds, on a machine that is busy with other tests
SCREENSHOTS: Final = ROOT / "var" / "screenshots"
LEARNERS: Final = 12
LESSONS: Final = 10


@pytest_asyncio.fixture(scope="session")
async def browser(chromium_program: str) -> AsyncGenerator[Browser]:
    """The browser, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_program, args=list(OPTIONS), timeout=PATIENCE
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def vhost(amqp_url: str, amqp_management_url: str) -> Generator[str]:
    """A virtual host of RabbitMQ, for the product and for a producer that gets things wrong."""
    with fresh_vhost(amqp_url, amqp_management_url) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def dead_letters(vhost: str) -> None:
    """Messages that the broker gave up: one that can be learned, and two that cannot."""
    sound = json.dumps({"user_id": 99, "lesson_id": 101, "position": 1}).encode()
    bodies = {"sound": sound, "broken-1": b"{broken", "broken-2": b"{broken too"}
    messages = [
        Message(message_id=name, routing_key="created", body=bodies[name]) for name in bodies
    ]
    async with open_broker(vhost) as broker, broker.subscription(RECOMMENDATION_WATCH, 10) as queue:
        async with broker.publisher(WATCH) as publisher:
            assert set(await publisher.publish(messages)) == {PublishOutcome.CONFIRMED}
        rejected = 0
        while rejected < len(messages):
            for delivery in await within(queue.receive(10)):
                await queue.reject(delivery.tag)
                rejected += 1


@pytest.fixture(scope="session")
def product(
    tmp_path_factory: pytest.TempPathFactory,
    vhost: str,
    dead_letters: None,  # noqa: ARG001 - in the queue before the product comes
) -> Generator[Product]:
    """The product, in which a class has watched a course."""
    settings = {"AMQP_URL": vhost, "EVALUATION_SHARE": "1"}  # a quality, however busy it is
    with running_product(tmp_path_factory.mktemp("product"), settings) as product:
        watches = [
            {
                "user_id": learner,
                "lesson_id": 101 + lesson,
                "position": 600 if lesson % 3 else 250,
                "duration": 600,
            }
            for lesson in range(LESSONS)
            for learner in range(1, LEARNERS + 1)
            if lesson < 3 + learner % 7
        ]
        post(product, *watches)
        describe(product)
        yield product


def post(product: Product, *watches: dict[str, int]) -> None:
    """Record watches."""
    url = f"{product.consumption_url}/watches/batch"
    answer = tell(url, {"items": watches}).raise_for_status()
    assert {item["status"] for item in answer.json()["items"]} == {201}


def describe(product: Product) -> None:
    """Give most of the lessons a title."""
    titles = ("Numbers", "Fractions", "Decimals", "Percent", "Ratios", "Powers", "Roots", "Angles")
    items = [{"lesson_id": 101 + place, "title": title} for place, title in enumerate(titles)]
    url = f"{product.recommendation_url}/lessons/batch"
    tell(url, {"items": items}).raise_for_status()


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncGenerator[Page]:
    """A tab of its own; at the end, nothing must have gone wrong in it."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if is_wrong(said) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    await context.close()
    assert wrong == []


def is_wrong(said: ConsoleMessage) -> bool:
    """Tell an error from what the browser says when the service was stopped, or is too busy."""
    return said.type == "error" and not any(one in said.text for one in ("net::ERR_", " 503 "))


@pytest.fixture
def screenshots() -> Path:
    """Where pictures of the page are left for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
