"""Credentials: the API key that the commands send to the services, from the settings."""

from pydantic import Field

from shared.process.settings import SharedSettings, read_settings


class _ClientSettings(SharedSettings):
    api_key: str = Field(default="", repr=False)
    """A key that the services know; needed where they are not open."""


def credentials() -> dict[str, str]:
    """Return the Authorization header; empty if no key is set."""
    key = read_settings(_ClientSettings).api_key
    return {"Authorization": f"Bearer {key}"} if key else {}
