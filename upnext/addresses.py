"""Addresses: where the services of these settings can be reached from this machine."""

from typing import Final

from consumption_service.settings import ConsumptionSettings
from recommendation_service.settings import RecommendationSettings
from shared.process.settings import read_settings

REACHABLE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - see below


def consumption_address() -> str:
    """Return the URL of the consumption service."""
    settings = read_settings(ConsumptionSettings)
    return _url(settings.consumption_host, settings.consumption_port)


def recommendation_address() -> str:
    """Return the URL of the recommendation service."""
    settings = read_settings(RecommendationSettings)
    return _url(settings.recommendation_host, settings.recommendation_port)


def _url(host: str, port: int) -> str:
    # A service that listens everywhere is reached by the loopback.
    host = REACHABLE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
