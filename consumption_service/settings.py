"""Settings of the consumption service."""

from pydantic import Field

from shared.process.settings import SharedSettings


class ConsumptionSettings(SharedSettings):
    """The settings of the consumption service; each is an environment variable in capitals."""

    consumption_database_url: str = "sqlite:///var/consumption.db"
    consumption_host: str = "127.0.0.1"
    consumption_port: int = Field(default=8000, ge=0, le=65535)

    max_clock_skew: int = Field(default=300, ge=0)
    """Seconds that a client's clock may be ahead of ours; a later time is refused."""

    idempotency_retention_days: int = Field(default=7, ge=1)
    """Days after which an Idempotency-Key, or an xAPI statement's id, may be used for another."""

    max_outbox: int = Field(default=1_000_000, ge=1)
    """Events that may wait for the broker; while there are as many, more are answered with 503."""

    max_waiting: int = Field(default=2000, ge=1)
    """Requests that may wait for their commit; more are answered with 503."""

    completion_percent: int = Field(default=90, ge=1, le=100)
    """The share of a lesson to watch for it to be finished, where it has none of its own."""
