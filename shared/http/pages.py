"""Pages: HTML, scripts and styles, with a content security policy that allows no other host."""

from base64 import b64encode
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, Final

from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from typing_extensions import override

# The styles of Swagger UI contain `data:` images.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # revalidated: after an update no old file is used
}


def policy_with(style: str) -> dict[str, str]:
    """Return the headers of a page with this inline style."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    allowed = POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")
    return HEADERS | {"Content-Security-Policy": allowed}


def page(file: Path) -> FileResponse:
    """Return the response with this page."""
    return FileResponse(file, headers=HEADERS, media_type="text/html")


class Files(StaticFiles):
    """The static files of pages."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)

    @override
    def file_response(self, full_path: str | PathLike[str], *args: Any, **options: Any) -> Response:
        response = super().file_response(full_path, *args, **options)
        response.headers.update(HEADERS)
        return response
