"""HTTP: the server and what both applications have in common; only this folder imports uvicorn."""
