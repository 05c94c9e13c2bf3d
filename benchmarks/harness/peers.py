"""Peers: the product and the systems compared with it, as processes."""

from typing import Final

from benchmarks.harness.systems import System

CELERY: Final = ("celery", "-A", "benchmarks.peers.original.tasks", "worker")
WORKER: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning")
GUNICORN: Final = ("gunicorn", "-c", "python:benchmarks.peers.original.gunicorn_conf")
WSGI: Final = "benchmarks.peers.original.wsgi"

UPNEXT: Final = System(
    "upnext",
    {"consumption": ["consumption_service"], "recommendation": ["recommendation_service"]},
    learns=True,
    batches=True,
)
_PUBLIC: Final = "benchmarks.peers.public_interfaces"
ASGI_FUNCTION: Final = System(
    "asgi_function",
    {"consumption": [_PUBLIC, "asgi_function"], "recommendation": ["recommendation_service"]},
    learns=True,
)
APPLICATION: Final = System(
    "application",
    {"consumption": [_PUBLIC, "application"], "recommendation": ["recommendation_service"]},
    learns=True,
)
VALIDATE_ONLY: Final = System(
    "validate_only", {"service": ["benchmarks.peers.validate_only"]}, stores=False
)
USUAL_HANDLER: Final = System("usual_handler", {"service": ["benchmarks.peers.usual_handler"]})
FASTSTREAM: Final = System(
    "faststream", {"service": ["benchmarks.peers.faststream_handler"]}, ["faststream"]
)
ORIGINAL_PATTERN: Final = System(
    "original_pattern",
    {"gunicorn": [*GUNICORN, WSGI], "celery": [*CELERY, *WORKER]},
    ["django", "rest_framework", "celery", "gunicorn", "psycopg"],
)
