"""Serving a peer as the product is served: one process of uvicorn, with uvloop and httptools."""

import os

import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI) -> None:
    """Serve until a signal asks to stop."""
    port = int(os.environ["CONSUMPTION_PORT"])
    uvicorn.run(app, port=port, access_log=False, log_level="warning")
