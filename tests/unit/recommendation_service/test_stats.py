"""Live stats: what the counters add up to, and what rates and percentiles are made of them."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from recommendation_service import stats as module
from recommendation_service.stats import MAX_DELAYS, RATE_SPAN, LiveStats, Rates
from shared.broker.interface import Delivery
from shared.process.metrics import Registry
from tests.support.examples import NOON

DELIVERY = Delivery(1, None, "created", b"", None, None, {}, redelivered=False, delivery_count=0)
AGAIN = DELIVERY._replace(redelivered=True)


def with_delays(milliseconds: Iterable[int]) -> LiveStats:
    stats = LiveStats()
    stats.delays.extend(milliseconds)
    return stats


def test_a_delivery_is_unacknowledged_until_it_is_acknowledged_or_lost() -> None:
    stats = LiveStats(ready=7)

    stats.count_received([DELIVERY, AGAIN, DELIVERY])
    stats.count_acknowledged(1)
    assert (stats.unacked, stats.backlog) == (2, 9)

    stats.connection_lost()
    assert (stats.unacked, stats.backlog) == (0, 7)


async def test_prometheus_reads_the_same_counters() -> None:
    stats, registry = LiveStats(), Registry()
    registry.add(stats.metrics)

    stats.count_received([DELIVERY, AGAIN])
    stats.connection_lost()
    stats.count_received([AGAIN])

    shown = (await registry.expose(""))[0].decode().splitlines()
    assert {"upnext_deliveries_total 3.0", "upnext_redeliveries_total 2.0"} <= set(shown)
    assert {"upnext_queue_ready 0.0", "upnext_queue_unacked 1.0"} <= set(shown)


def test_rates_are_taken_over_the_last_samples() -> None:
    stats = LiveStats()
    assert stats.rates() == Rates()
    for second in range(5):  # too long ago to count
        stats.take_sample(second)
    for second in range(5, RATE_SPAN + 6):
        stats.take_sample(second)
        stats.count_received([AGAIN, DELIVERY])
        stats.count_acknowledged(1)
        stats.ready += 3

    assert stats.rates() == Rates(publish=5, deliver=2, ack=1, redelivered=1)


def test_what_goes_back_to_the_queue_makes_no_rate_negative() -> None:
    stats = LiveStats()
    stats.count_received([DELIVERY])
    stats.take_sample(0)
    stats.connection_lost()
    stats.take_sample(2)

    assert stats.rates() == Rates()


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_percentiles_are_values_that_occurred(percent: int, expected: int) -> None:
    assert with_delays(range(100, 0, -1)).freshness_ms(percent) == expected


def test_a_percentile_may_be_taken_over_the_latest_delays() -> None:
    stats = with_delays([900, 900, 1, 2, 3])

    assert stats.freshness_ms(100, latest=3) == 3
    assert stats.freshness_ms(100) == 900
    assert LiveStats().freshness_ms(50) == 0
    assert len(with_delays(range(MAX_DELAYS + 1)).delays) == MAX_DELAYS


def test_the_delay_of_a_learned_event_is_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: NOON)
    stats = LiveStats()

    stats.count_learned([NOON - timedelta(seconds=2), NOON - timedelta(milliseconds=5)])

    assert (stats.learned_events, list(stats.delays)) == (2, [2000, 5])
