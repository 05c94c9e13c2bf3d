"""Addresses: the URLs of both services from this machine, by their settings."""

from typing import Final

from consumption_service.settings import ConsumptionSettings
from recommendation_service.settings import RecommendationSettings
from shared.process.settings import read_settings

LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - see below


def consumption_address() -> str:
    """Return the URL of the consumption service."""
    settings = read_settings(ConsumptionSettings)
    return _url(settings.consumption_host, settings.consumption_port)


def recommendation_address() -> str:
    """Return the URL of the recommendation service."""
    settings = read_settings(RecommendationSettings)
    return _url(settings.recommendation_host, settings.recommendation_port)


def _url(host: str, port: int) -> str:
    # A service that listens on every interface is reached over the loopback.
    host = LOOPBACK.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
