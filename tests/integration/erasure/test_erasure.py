"""Erasing a user everywhere: from the request to the receipt that both services completed."""

import asyncio
import json
from typing import Any

import httpx

from shared.broker.interface import Message
from shared.broker.topology import CONSUMPTION_ERASURE, ERASURE, WATCH
from shared.clock import utc_now
from shared.uuid7 import new_id
from tests.support.eventually import eventually, within
from tests.support.pair import Pair, SetUp, learned, parked, stats_of

GOOD = {"user_id": 1, "lesson_id": 2, "position": 3}


async def erased(pair: Pair, user: int) -> dict[str, Any]:
    """Erase the user, and wait until the receipt says that it is done."""
    answer = await pair.consumption.delete(f"/users/{user}")
    assert answer.status_code == 202, answer.text
    receipt: dict[str, Any] = answer.json()

    async def done() -> dict[str, Any]:
        receipt.update((await pair.consumption.get(f"/erasures/{receipt['id']}")).json())
        return receipt if receipt["done"] else {}

    return dict(await eventually(done))


async def fingerprint(recommendation: httpx.AsyncClient) -> str:
    return str((await stats_of(recommendation))["model"]["fingerprint"])


async def test_after_an_erasure_the_user_is_known_nowhere(pair: Pair) -> None:
    await pair.watch(1, 10, 11, 12)
    await learned(pair.recommendation, 3)
    without = await fingerprint(pair.recommendation)
    await pair.watch(2, 11, 10, 13)
    await pair.recommendation.put("/users/2/hidden-lessons/12")
    await learned(pair.recommendation, 6)

    receipt = await erased(pair, 2)

    assert receipt["recommendation"]["done_at"]
    assert await fingerprint(pair.recommendation) == without
    assert (await pair.recommendation.get("/users/2/hidden-lessons")).json() == {"items": []}
    assert len(await pair.recommended(2)) == 3
    assert 13 not in [item["lesson_id"] for item in await pair.recommended(1)]

    await pair.watch(2, 14)  # they come back
    await learned(pair.recommendation, 8)
    assert [item["lesson_id"] for item in await pair.recommended(1)] == [14]


async def test_users_of_every_partition_are_learned_and_erased(real: SetUp) -> None:
    async with (
        real.recommendation(partitions=4) as recommendation,
        real.consumption() as consumption,
    ):
        pair = Pair(consumption, recommendation)
        for user in range(1, 13):
            await pair.watch(user, 10, 10 + user)
        await learned(recommendation, 24)
        assert [item["lesson_id"] for item in await pair.recommended(99)][:1] == [10]

        for user in range(1, 13):
            await erased(pair, user)

        assert await pair.recommended(99) == []


async def test_what_is_parked_of_the_user_goes_too(pair: Pair, set_up: SetUp) -> None:
    unreadable, theirs, anothers = (
        b"{",
        json.dumps({**GOOD, "position": -1}).encode(),
        json.dumps({**GOOD, "position": -1, "user_id": 9}).encode(),
    )
    async with set_up.broker.publisher(WATCH) as publisher:
        bodies = (unreadable, theirs, anothers)
        await publisher.publish([Message(str(new_id()), "created", body) for body in bodies])
    await parked(pair.recommendation, 3)

    await erased(pair, 1)

    left = {item["body"] for item in await parked(pair.recommendation, 2)}
    assert left == {unreadable.decode(), anothers.decode()}


async def test_it_is_confirmed_again_until_somebody_hears_it(set_up: SetUp) -> None:
    erasure = {"user_id": 1, "erasure_id": str(new_id()), "erased_at": utc_now().isoformat()}
    message = Message(erasure["erasure_id"], "erased", json.dumps(erasure).encode())  # type: ignore[arg-type]
    async with (
        set_up.recommendation() as recommendation,
        set_up.broker.publisher(WATCH) as publisher,
    ):
        # The broker inside the process confirms what was acknowledged.
        publishing = asyncio.create_task(publisher.publish([message]))
        await learned(recommendation, 1)
        async with set_up.broker.subscription(CONSUMPTION_ERASURE, 10) as heard:
            [delivery] = await within(heard.receive(1))
            await heard.ack(delivery.tag)
        await within(publishing)

    assert (delivery.routing_key, delivery.type) == ("done", f"{ERASURE.name}.done")
    said = json.loads(delivery.body)
    assert said["erasure_id"] == erasure["erasure_id"]
    assert said["user_id"] == 1


async def test_what_is_no_erasure_is_parked(set_up: SetUp) -> None:
    bodies = [b"{", json.dumps({"user_id": 1}).encode()]
    async with set_up.recommendation() as recommendation:
        async with set_up.broker.publisher(WATCH) as publisher:
            await publisher.publish([Message(str(new_id()), "erased", body) for body in bodies])
        items = await parked(recommendation, 2)

    assert {item["reason"] for item in items} == {"unreadable"}


async def test_a_parked_erasure_can_be_tried_again(set_up: SetUp) -> None:
    erasure = {"user_id": 1, "erasure_id": str(new_id()), "erased_at": utc_now().isoformat()}
    body = json.dumps(erasure | {"notes": "x" * 900}).encode()
    async with (
        set_up.recommendation(max_message_bytes=800) as recommendation,
        set_up.broker.publisher(WATCH) as publisher,
    ):
        await publisher.publish([Message(str(new_id()), "erased", body)])
        [item] = await parked(recommendation, 1)
        path = f"/parked/{item['id']}/redeliver"
        assert (await recommendation.post(path)).status_code == 409
    async with set_up.recommendation() as recommendation:
        assert (await recommendation.post(path)).status_code == 503  # nobody hears it
        async with set_up.broker.subscription(CONSUMPTION_ERASURE, 10) as heard:
            trying = asyncio.create_task(recommendation.post(path))
            [delivery] = await within(heard.receive(1))
            await heard.ack(delivery.tag)
            assert (await within(trying)).json() == {"outcome": "learned"}
        await parked(recommendation, 0)
    assert json.loads(delivery.body)["erasure_id"] == erasure["erasure_id"]
