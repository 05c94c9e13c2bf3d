"""TLS to PostgreSQL and RabbitMQ: the certificate is verified, and so is whom it is for.

The servers are real, and started once for this file. Their certificate is for `localhost`, so
`127.0.0.1` is the same server under a name that is not its own.
"""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import trustme
from sqlalchemy import text

from shared.broker.connect import open_broker
from shared.broker.interface import Message, PublishOutcome
from shared.broker.probe import refuse_to_start_if_refused
from shared.broker.topology import WATCH
from shared.database.database import open_database
from shared.errors import CannotStart
from tests.infrastructure import THROW_AWAY, postgresql, rabbitmq_with_tls
from tests.infrastructure.certificates import certificate_for

AUTHORITY: Final = trustme.CA()
STRANGER: Final = trustme.CA()
PATIENCE: Final = 0.0  # seconds; a refusal is no reason to wait


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority that issued the servers' certificates."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(file)
    return file


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority that has nothing to do with the servers."""
    file = tmp_path_factory.mktemp("stranger") / "ca.pem"
    STRANGER.cert_pem.write_to_path(file)
    return file


@pytest.fixture(scope="module")
def database() -> Iterator[int]:
    """The port of a PostgreSQL that speaks TLS to those who ask for it."""
    with certificate_for(AUTHORITY, "localhost", "postgres") as files:
        tls = {"ssl": "on", "ssl_cert_file": str(files.certificate), "ssl_key_file": str(files.key)}
        with postgresql({**THROW_AWAY, **tls}) as server:
            yield urlsplit(server.url).port or 0


@pytest.fixture(scope="module")
def broker() -> Iterator[int]:
    """The port at which a RabbitMQ speaks TLS."""
    with (
        certificate_for(AUTHORITY, "localhost", "rabbitmq") as files,
        rabbitmq_with_tls(files) as port,
    ):
        yield port


def at_database(port: int, host: str, **tls: object) -> str:
    options = "&".join(f"{name}={value}" for name, value in tls.items())
    return f"postgresql://postgres@{host}:{port}/postgres?{options}"


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca"])
async def test_a_database_with_a_certificate_of_the_right_authority_is_used(
    database: int, trusted: Path, mode: str
) -> None:
    url = at_database(database, "localhost", sslmode=mode, sslrootcert=trusted)

    async with open_database(url) as opened, opened.read() as connection:
        encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await connection.scalar(text(encrypted)) is True


async def test_a_database_with_a_certificate_of_another_authority_is_refused(
    database: int, another: Path
) -> None:
    url = at_database(database, "localhost", sslmode="verify-full", sslrootcert=another)

    with pytest.raises(CannotStart, match="certificate is not to be trusted: unable to get"):
        async with open_database(url, timeout=PATIENCE):
            pass


async def test_a_database_with_a_certificate_for_another_host_is_refused(
    database: int, trusted: Path
) -> None:
    url = at_database(database, "127.0.0.1", sslmode="verify-full", sslrootcert=trusted)

    with pytest.raises(CannotStart, match="certificate is not to be trusted: IP address mismatch"):
        async with open_database(url, timeout=PATIENCE):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_database_that_speaks_no_tls_is_not_spoken_to_without(
    postgres_url: str, trusted: Path
) -> None:
    port = urlsplit(postgres_url).port or 0
    url = at_database(port, "localhost", sslmode="verify-full", sslrootcert=trusted)

    with pytest.raises(CannotStart, match="rejected SSL upgrade"):
        async with open_database(url, timeout=PATIENCE):
            pass

    gc.collect()  # asyncpg leaves the socket of such a server to it; here, and not in a later test


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"sslmode": "verify-full", "sslrootcert": "/nowhere.pem"}, "no file /nowhere.pem"),
        ({"sslmode": "verify-everything"}, "`sslmode` parameter must be one of"),
    ],
)
async def test_what_cannot_be_meant_of_tls_ends_the_start(
    options: dict[str, str], why: str
) -> None:
    with pytest.raises(CannotStart, match=why):
        async with open_database(at_database(1, "localhost", **options), timeout=PATIENCE):
            pass


def at_broker(port: int, host: str, authority: Path) -> str:
    return f"amqps://guest:guest@{host}:{port}/?cafile={authority}"


async def test_a_broker_with_a_certificate_of_the_right_authority_is_used(
    broker: int, trusted: Path
) -> None:
    async with open_broker(at_broker(broker, "localhost", trusted)) as opened:
        await refuse_to_start_if_refused(opened, WATCH)
        async with opened.publisher(WATCH) as publisher:
            [outcome] = await publisher.publish([Message("an id", "created", b"{}")])

    assert outcome is PublishOutcome.UNROUTABLE


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_broker_with_a_certificate_that_is_not_its_own_is_refused(
    broker: int, trusted: Path, another: Path, host: str
) -> None:
    authority = another if host == "localhost" else trusted
    why = "unable to get" if host == "localhost" else "IP address mismatch"

    async with open_broker(at_broker(broker, host, authority)) as opened:
        with pytest.raises(CannotStart, match=f"certificate that is not to be trusted: {why}"):
            await refuse_to_start_if_refused(opened, WATCH)


async def test_an_authority_that_is_not_there_ends_the_start() -> None:
    async with open_broker(at_broker(1, "localhost", Path("/nowhere.pem"))) as opened:
        with pytest.raises(CannotStart, match=r"no file /nowhere\.pem"):
            await refuse_to_start_if_refused(opened, WATCH)
