"""Metrics of a service, which Prometheus reads at `/metrics`.

Each part owns its metrics; the application registers them. None is global, so two services in one
process have separate figures.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from time import time
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNKNOWN: Final = "unknown"  # the label of all paths without a route

Read = Callable[[], float]
Refresh = Callable[[], Awaitable[None]]


class Metrics:
    """The metrics of one part of a service: each attribute that is a metric."""

    def metrics(self) -> list[Collector]:
        """Return the metrics."""
        kinds = MetricWrapperBase, CallbackCounter, FastHistogram
        return [one for one in vars(self).values() if isinstance(one, kinds)]


class CallbackCounter(Collector):
    """A counter that is kept elsewhere, and read when Prometheus asks."""

    def __init__(self, name: str, documentation: str, read: Read) -> None:
        self._described = name, documentation
        self._read, self._created = read, time()

    @override
    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(*self._described, value=self._read(), created=self._created)


class BucketCounts:
    """The number of values in each bucket of a histogram."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def show(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add the counts to the family; in Prometheus each bucket includes those below."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, map(float, accumulate(self._counts)), strict=True))
        family.add_metric(labels, buckets, self._sum)


class FastHistogram(Collector):
    """A histogram for values of each request or event, observed by one thread only.

    The library's histogram takes a lock and looks at each bucket: ten times as slow.
    """

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._described = name, documentation
        self._counts = BucketCounts(bounds)
        self.observe = self._counts.observe

    @override
    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(*self._described)
        self._counts.show(family)
        yield family


class RequestSeconds(Collector):
    """Histograms of the time that requests take, by method, route and status."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, int], BucketCounts] = defaultdict(
            partial(BucketCounts, BUCKETS)
        )

    def observe(self, scope: Mapping[str, object], status: int, seconds: float) -> None:
        """Observe one response."""
        # A mounted folder of files has a path too.
        route = getattr(scope.get("route"), "path", UNKNOWN)
        self._counts[str(scope["method"]), route, status].observe(seconds)

    @override
    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "upnext_http_request_seconds",
            "Time until the answer to a request begins.",
            labels=("method", "route", "status"),
        )
        for labels, counts in self._counts.items():
            counts.show(family, [str(label) for label in labels])
        yield family


class Registry:
    """All metrics of an application."""

    def __init__(self) -> None:
        self.collected = CollectorRegistry()
        self._refreshed: list[Refresh] = []
        ProcessCollector(registry=self.collected)
        GCCollector(registry=self.collected)

    def add(self, *parts: Metrics, refresh: Refresh | None = None) -> None:
        """Register the metrics of these parts; `refresh` is awaited before each exposition."""
        for part in parts:
            for metric in part.metrics():
                self.collected.register(metric)
        if refresh:
            self._refreshed.append(refresh)

    async def expose(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in a format of the `Accept` header, and its content type."""
        for refresh in self._refreshed:
            await refresh()
        encode, content_type = choose_encoder(accept)
        return encode(self.collected), content_type


def collect_request_metrics(app: FastAPI) -> RequestSeconds:
    """Expose the application's metrics at `/metrics`; return the one that counts its requests."""
    registry, seconds = Registry(), RequestSeconds()
    registry.collected.register(seconds)
    app.state.metrics = registry
    app.include_router(router)
    return seconds


router = APIRouter(tags=["operation"])

DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=DOCUMENTED)
async def metrics(request: Request) -> Response:
    """Return what this process has counted, for Prometheus."""
    registry: Registry = request.app.state.metrics
    content, content_type = await registry.expose(request.headers.get("Accept", ""))
    return Response(content, media_type=None, headers={"Content-Type": content_type})
