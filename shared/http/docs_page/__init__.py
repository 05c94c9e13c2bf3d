"""`/docs`: the OpenAPI document as a page to try, from files of our own, so that it works offline.

`static/vendor` holds Swagger UI 5.35.0 as it was published (Apache-2.0).
"""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse

from shared.http.pages import Files, page

FILES: Final = Path(__file__).parent / "static"


def show_docs(app: FastAPI) -> None:
    """Show the application's documentation at `/docs`."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return page(FILES / "docs.html")

    app.mount("/docs/", Files(FILES))
