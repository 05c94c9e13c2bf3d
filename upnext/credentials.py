"""Credentials: what the commands show the services, from the same places as every setting."""

from pydantic import Field

from shared.process.settings import SharedSettings, read_settings


class _ClientSettings(SharedSettings):
    api_key: str = Field(default="", repr=False)
    """A key that the services know; needed where they are not open."""


def credentials() -> dict[str, str]:
    """Return the header that says who asks; none where no key is set."""
    key = read_settings(_ClientSettings).api_key
    return {"Authorization": f"Bearer {key}"} if key else {}
