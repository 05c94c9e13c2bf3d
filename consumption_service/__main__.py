"""`python -m consumption_service`: this service alone, configured by the environment."""

from consumption_service.app import open_app
from consumption_service.settings import ConsumptionSettings
from shared.broker.connect import open_broker
from shared.database.engines import require_postgresql
from shared.errors import CannotStart
from shared.http.server import Listener, bind, serve
from shared.process.program import run_to_completion
from shared.process.settings import read_settings
from shared.process.workers import supervise


async def main() -> None:
    """Serve until a signal asks to stop."""
    settings = read_settings(ConsumptionSettings)
    if settings.amqp_url is None:
        raise CannotStart("Set AMQP_URL, or start both services in one process: upnext run.")
    if settings.workers > 1:
        require_postgresql(settings.consumption_database_url)
        with bind(settings.consumption_host, settings.consumption_port) as bound:
            await supervise("consumption_service", settings.workers, bound)
        return
    async with open_broker(settings.amqp_url) as broker, open_app(settings, broker) as app:
        await serve([Listener(app, settings.consumption_host, settings.consumption_port)])


if __name__ == "__main__":
    run_to_completion(main())
