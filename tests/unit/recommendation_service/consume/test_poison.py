"""Poison messages: each is processed alone, after the healthy ones."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from recommendation_service.consume.poison import SUSPICIOUS, isolate, may_be_poison
from recommendation_service.event import is_erasure
from shared.broker.interface import Delivery

counts = st.integers(0, SUSPICIOUS + 3)
keys = st.sampled_from(["created", "updated", "erased"])


def a_delivery(tag: int, routing_key: str = "created", delivery_count: int = 0) -> Delivery:
    redelivered = delivery_count > 0
    return Delivery(tag, None, routing_key, b"", None, None, {}, redelivered, delivery_count)


def tags(batches: Sequence[Sequence[Delivery]]) -> list[list[int]]:
    return [[one.tag for one in batch] for batch in batches]


@given(st.lists(st.tuples(keys, counts), min_size=1, max_size=12))
def test_every_delivery_is_in_one_batch_and_the_healthy_ones_come_first(
    drawn: list[tuple[str, int]],
) -> None:
    deliveries = [a_delivery(tag, *one) for tag, one in enumerate(drawn)]

    batches = isolate(deliveries)

    assert sorted(tag for batch in tags(batches) for tag in batch) == list(range(len(deliveries)))
    healthy = [one for one in deliveries if not (may_be_poison(one) or is_erasure(one))]
    first, *others = batches if healthy else [[], *batches]
    assert list(first) == healthy
    assert all(len(batch) == 1 for batch in others)


def test_healthy_messages_stay_together() -> None:
    assert tags(isolate([a_delivery(1), a_delivery(2, delivery_count=1)])) == [[1, 2]]


def test_poison_messages_are_taken_backwards_at_every_third_delivery() -> None:
    forwards = [a_delivery(tag, delivery_count=SUSPICIOUS) for tag in (1, 2, 3)]
    backwards = [one._replace(delivery_count=SUSPICIOUS + 1) for one in forwards]

    assert tags(isolate(forwards)) == [[1], [2], [3]]
    assert tags(isolate(backwards)) == [[3], [2], [1]]
