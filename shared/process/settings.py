"""Settings that both services read from the environment, `.env` or a folder of secrets."""

from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import CannotStart

S = TypeVar("S", bound="LogSettings")

LogFormat = Literal["auto", "text", "json"]

SECRETS: Final = Path("/run/secrets")


class LogSettings(BaseSettings):
    """How a process writes its log; read before everything else."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", secrets_dir=SECRETS if SECRETS.is_dir() else None
    )

    log_format: LogFormat = "auto"
    """`text`, `json`, or `auto`: text on a terminal, JSON elsewhere."""


class SharedSettings(LogSettings):
    """Settings of both services. They are passed as arguments, never imported."""

    otel_exporter_otlp_endpoint: str | None = None
    """Where traces are sent to, as OpenTelemetry names it: an OTLP collector. Unset: none are."""

    amqp_url: str | None = None
    """RabbitMQ. Unset: the broker inside this process."""

    auto_migrate: bool = True
    """Whether a starting service brings its tables to the newest version by itself."""

    api_keys: str = Field(default="", repr=False)
    """The valid API keys, as hashes: one line for each, made by `upnext key`."""

    jwt_jwks: str = ""
    """Where the public keys of the identity provider are: an https:// address, or a file."""

    jwt_issuer: str = ""
    """The `iss` that a token must have."""

    jwt_audience: str = ""
    """The `aud` that a token must have."""

    allow_open: bool = False
    """Whether a service without keys and tokens may listen where other machines reach it."""

    rate_limit: float | None = Field(default=None, ge=0)
    """Requests a second of each key or user; 0: no limit. Unset: none on loopback, else 1,000."""

    max_body_bytes: int = 1_000_000
    """The largest request body, in bytes; a larger one is answered with 413."""

    max_header_bytes: int = Field(default=65_536, ge=1024)
    """The longest request line and headers together; longer ones are answered with 431."""

    request_timeout: float = Field(default=30, gt=0)
    """Seconds for a request to arrive (else 408), and for its client to take a large answer."""

    keep_alive: int = Field(default=75, ge=1)
    """Seconds that a connection may be idle.

    Set it longer than the idle timeout of clients and proxies.
    """

    workers: int = Field(default=1, ge=1, le=64)
    """Processes of a service that share its address; more than one need PostgreSQL and RabbitMQ."""

    max_connections: int = Field(default=1000, ge=1)
    """Connections that a service serves at a time; one more is answered with 503."""


def read_settings(kind: type[S]) -> S:
    """Read the settings, or raise `CannotStart` with every value that is wrong."""
    try:
        return kind()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'_'.join(str(part) for part in detail['loc']).upper()}: {detail['msg']}"
            for detail in error.errors()
        )
        raise CannotStart(f"The settings are wrong: {wrong}.") from None
