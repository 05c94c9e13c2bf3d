"""Settings of the recommendation service."""

from pydantic import Field, HttpUrl

from shared.process.settings import SharedSettings


class RecommendationSettings(SharedSettings):
    """The settings of the recommendation service; each is an environment variable in capitals."""

    recommendation_database_url: str = "sqlite:///var/recommendation.db"
    recommendation_host: str = "127.0.0.1"
    recommendation_port: int = Field(default=8001, ge=0, le=65535)

    consumption_url: HttpUrl = HttpUrl("http://127.0.0.1:8000")
    """Where the dashboard finds the consumption service."""

    partitions: int = Field(default=1, ge=1, le=64)
    """Queues that the users are spread over, and with them the work; more than 1 need RabbitMQ."""

    prefetch: int = Field(default=300, ge=1, le=2000)
    """Deliveries that may be unacknowledged at a time, of each partition."""

    batch_size: int = Field(default=100, ge=1, le=1000)
    """Deliveries that are learned in one transaction, at most."""

    max_message_bytes: int = Field(default=65_536, ge=1)
    """A larger message is parked."""

    inbox_retention_days: int = Field(default=30, ge=1)
    """Days that the ids of learned events are kept, to know a duplicate by."""

    follow_interval: float = Field(default=0.1, gt=0)
    """Seconds between reads of the change log for versions of other processes."""

    explore: float = Field(default=0.1, ge=0, le=0.5)
    """The share of a user's recommendations that new lessons get; 0: none but those that rank."""

    evaluation_share: float = Field(default=0.05, ge=0, le=1)
    """The share of the time in which watches may be predicted before they are learned; 1: all."""
