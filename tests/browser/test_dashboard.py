"""The dashboard, in a real browser: what it shows is what is there, and its buttons do it."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import PATIENCE, post
from tests.support.eventually import eventually, within
from tests.support.http_client import ask
from tests.support.product import Product, running_product

AXE: Final = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
NARROW: Final = {"width": 360, "height": 780}

expect.set_options(timeout=PATIENCE)


async def opened(page: Page, product: Product, fragment: str = "") -> Page:
    await page.goto(f"{product.recommendation_url}/{fragment}")
    await expect(page.locator("#connection")).to_have_text("live")
    return page


def asked(product: Product, path: str) -> Any:
    return ask(f"{product.recommendation_url}{path}").raise_for_status().json()


async def number_in(place: Locator) -> int:
    return int(re.sub(r"\D", "", await place.inner_text()) or -1)


async def violations(page: Page) -> list[Any]:
    """What axe finds that keeps somebody from using the page."""
    await page.evaluate(AXE)
    found = await page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})"
    )
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


async def test_without_any_watch_it_says_what_to_do_and_notices_the_first(
    page: Page, tmp_path: Path, screenshots: Path
) -> None:
    with running_product(tmp_path) as product:
        await opened(page, product)
        await expect(page.get_by_role("heading", name="Nothing was watched yet")).to_be_visible()
        command = page.locator("#curl-watch")
        await expect(command).to_contain_text(f"curl -X POST {product.consumption_url}/watches")
        await expect(page.get_by_text("make demo", exact=True)).to_be_visible()
        await expect(page.locator("#live")).to_be_hidden()
        assert await violations(page) == []
        await page.screenshot(path=screenshots / "empty.png", full_page=True)

        post(product, {"user_id": 42, "lesson_id": 100, "position": 314})

        await expect(page.locator("#welcome")).to_be_hidden()
        await expect(page.locator("#applied")).to_have_text("1")
        await expect(page.get_by_role("button", name="User 42")).to_be_visible()


async def test_a_watch_shows_up_without_loading_again(page: Page, product: Product) -> None:
    await opened(page, product)
    applied = page.locator("#applied")
    await expect(applied).to_have_text(re.compile(r"\d"))
    before = await number_in(applied)

    post(product, {"user_id": 1, "lesson_id": 107, "position": 5})

    async def has_grown() -> bool:
        return await number_in(applied) > before

    await eventually(has_grown)
    await expect(page.locator("#chart-fresh")).to_have_attribute("aria-label", re.compile(r"\d"))


async def test_what_it_shows_is_what_the_service_says(page: Page, product: Product) -> None:
    await opened(page, product)

    for service in ("consumption", "recommendation"):
        await expect(page.locator(f"#health-{service}")).to_have_text(service)
    await expect(page.locator("#lessons")).to_have_text(f"{product.stats()['model']['lessons']}")
    await expect(page.locator("#chart-rates canvas")).to_be_visible()
    await expect(page.locator("#quality")).to_have_text(re.compile(r"\d"))


async def test_watching_changes_the_list_and_says_how_long_it_took(
    page: Page, product: Product, screenshots: Path
) -> None:
    post(product, {"user_id": 70, "lesson_id": 101, "position": 60, "duration": 600})
    await opened(page, product, "#user=70")
    first = page.locator("#recommended li").first
    await expect(first).to_contain_text("Because you watched Numbers.")
    lesson = await first.locator("strong").inner_text()

    await page.get_by_role("button", name=f"Watch {lesson}", exact=True).click()

    took = page.locator("#took")
    await expect(took).to_have_text(re.compile(rf"{lesson} changed the list after [\d,.]+ ms"))
    await expect(page.locator("#recommended strong", has_text=lesson)).to_have_count(0)
    await expect(page.locator("#history li").first).to_contain_text(lesson)
    await page.screenshot(path=screenshots / "light.png", full_page=True)


async def test_any_user_and_any_lesson_can_be_typed(page: Page, product: Product) -> None:
    await opened(page, product)
    await page.get_by_label("User", exact=True).fill("4711")
    await page.keyboard.press("Enter")
    await expect(page.locator("#strategy")).to_contain_text("popular")
    await expect(page.locator("#history")).to_contain_text("Nothing watched yet.")

    await page.get_by_label("Watch another lesson").fill("102")
    await page.keyboard.press("Enter")

    await expect(page.locator("#history")).to_contain_text("Fractions")
    await expect(page.locator("#strategy")).to_have_text("for user 4711")
    assert [watch["lesson_id"] for watch in product.watches_of(4711)] == [102]


async def test_what_is_being_typed_stays_when_the_first_user_arrives(
    page: Page, product: Product
) -> None:
    users_may_come = asyncio.Event()

    async def late(route: Route) -> None:
        await within(users_may_come.wait())
        await route.continue_()

    await page.route("**/dashboard/watches?limit=50", late)
    await opened(page, product)
    await page.get_by_label("User", exact=True).fill("4712")

    users_may_come.set()

    await expect(page.locator("#picks")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator("#recommended")).to_have_attribute("data-user", "4712")


async def test_what_was_begun_can_be_continued(page: Page, product: Product) -> None:
    post(product, {"user_id": 71, "lesson_id": 103, "position": 150, "duration": 600})

    await opened(page, product, "#user=71")

    begun = page.locator("#continue li")
    await expect(begun).to_contain_text("Decimals")
    await expect(begun).to_contain_text("resume at 2:30")


async def test_a_parked_message_can_be_redelivered(page: Page, product: Product) -> None:
    await opened(page, product)
    message = page.locator("#messages li", has_text="id sound")
    await expect(message).to_contain_text("dead-lettered")

    await asyncio.gather(  # looked for from the beginning, because it does not stay
        expect(message).to_contain_text("It was redelivered: learned."),
        message.get_by_role("button", name="Redeliver").click(),
    )
    await expect(message).to_have_count(0)
    assert asked(product, "/users/99/recommendations")["strategy"] == "personal"


async def test_a_parked_message_is_discarded_only_when_that_is_meant(
    page: Page, product: Product
) -> None:
    await opened(page, product)
    message = page.locator("#messages li", has_text="id broken-1")

    await message.get_by_role("button", name="Discard").click()
    await message.get_by_role("button", name="Discard for good?").click()

    await expect(message).to_have_count(0)
    parked = asked(product, "/parked")["items"]
    assert "broken-1" not in [one["message_id"] for one in parked]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it(
    page: Page, product: Product, screenshots: Path, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await opened(page, product, "#user=3")
    await expect(page.locator("#recommended li").first).to_be_visible()
    await expect(page.locator("#messages li").first).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("data-theme", scheme)

    assert await violations(page) == []
    await page.screenshot(path=screenshots / f"{scheme}-all.png", full_page=True)


async def test_light_and_dark_can_be_chosen_and_stay(page: Page, product: Product) -> None:
    await page.emulate_media(color_scheme="light")
    await opened(page, product)

    await page.get_by_role("button", name="Switch between light and dark").click()
    await page.reload()

    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.locator("body")).to_have_css("background-color", "rgb(12, 15, 22)")


async def test_it_fits_a_narrow_screen(page: Page, product: Product, screenshots: Path) -> None:
    await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    await opened(page, product, "#user=3")
    await expect(page.locator("#recommended li").first).to_be_visible()

    assert await page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    await page.screenshot(path=screenshots / "narrow.png", full_page=True)


async def test_it_loads_nothing_from_anywhere_else(page: Page, product: Product) -> None:
    requested: set[str] = set()
    page.on("request", lambda request: requested.add(request.url))

    await opened(page, product, "#user=3")
    await expect(page.locator("#recommended li").first).to_be_visible()
    await page.goto(f"{product.recommendation_url}/docs")
    await expect(page.get_by_text("/users/{user_id}/recommendations")).to_be_visible()
    await page.goto(f"{product.consumption_url}/docs")
    await expect(page.get_by_text("/watches/batch")).to_be_visible()
    await page.goto(f"{product.consumption_url}/asyncapi")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()

    ours = (product.recommendation_url, product.consumption_url, "data:")
    assert [url for url in requested if not url.startswith(ours)] == []


async def test_a_restart_is_noticed_and_survived(page: Page, product: Product) -> None:
    await opened(page, product)

    product.stop()
    await expect(page.locator("#connection")).to_have_text("reconnecting")
    await expect(page.get_by_role("alert")).to_contain_text("Trying again")
    product.start()

    await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.get_by_role("alert")).to_be_hidden()
