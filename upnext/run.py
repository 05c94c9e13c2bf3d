"""Run: both services in one process, on the configured servers or on files alone."""

import logging

from pydantic import HttpUrl

from consumption_service import app as consumption
from consumption_service.settings import ConsumptionSettings
from recommendation_service import app as recommendation
from recommendation_service.settings import RecommendationSettings
from shared.broker.connect import open_broker
from shared.errors import CannotStart
from shared.http.server import Listener, serve
from shared.process.settings import read_settings
from upnext.addresses import consumption_address, recommendation_address

log = logging.getLogger(__name__)


async def run() -> None:
    """Serve both services until a signal asks to stop."""
    learning = _with_consumption_url(read_settings(RecommendationSettings))
    recording = read_settings(ConsumptionSettings)
    if recording.workers > 1:
        raise CannotStart(
            "WORKERS is for a service that runs by itself, with PostgreSQL and RabbitMQ:"
            " python -m consumption_service, python -m recommendation_service."
        )
    if recording.amqp_url is None and learning.partitions > 1:
        raise CannotStart("PARTITIONS needs RabbitMQ: set AMQP_URL.")
    async with (
        open_broker(recording.amqp_url) as broker,
        # The queue exists before the first event is published.
        recommendation.open_app(learning, broker) as recommendation_app,
        consumption.open_app(recording, broker) as consumption_app,
    ):
        listeners = [
            Listener(consumption_app, recording.consumption_host, recording.consumption_port),
            Listener(
                recommendation_app, learning.recommendation_host, learning.recommendation_port
            ),
        ]
        log.info("the dashboard: %s/", recommendation_address())
        await serve(listeners)


def _with_consumption_url(settings: RecommendationSettings) -> RecommendationSettings:
    """Return the settings with the address of the consumption service in this process."""
    if "consumption_url" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"consumption_url": HttpUrl(consumption_address())})
