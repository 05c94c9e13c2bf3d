"""gunicorn: `workers` as its documentation recommends; threads, because connections are kept."""

import os

bind = f"127.0.0.1:{os.environ['CONSUMPTION_PORT']}"
workers = 2 * (os.cpu_count() or 1) + 1
worker_class = "gthread"
threads = 4
preload_app = False
keepalive = 60
worker_connections = 1000


def on_starting(server: object) -> None:  # noqa: ARG001
    """Make the table before the first worker starts."""
    from django.db import connection  # noqa: PLC0415

    from benchmarks.peers.original import wsgi  # noqa: F401, PLC0415
    from benchmarks.peers.original.models import Watch  # noqa: PLC0415

    with connection.schema_editor() as editor:
        editor.create_model(Watch)
    connection.close()
