"""The FastAPI application of the pages: shells without data, their style and script, and the data behind a login."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from airflow_provider_ecdp import __version__
from airflow_provider_ecdp.errors import EcdpError
from airflow_provider_ecdp.plugin import docs_pages
from airflow_provider_ecdp.plugin.routes import data

_STATIC = Path(__file__).parent / "static"

#: The files that a page loads, and their media types; nothing else is served.
_FILES = {
    "report.css": "text/css; charset=utf-8",
    "report.js": "text/javascript; charset=utf-8",
    "orders.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
}

#: Own files only, no inline code, and only Airflow itself may show a page in a frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@cache
def built() -> FastAPI:
    """Return the application."""
    app = FastAPI(title="ExpertSender CDP", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(data)
    app.add_api_route("/report/{dag_id}/{run_id}", _run_page, response_class=HTMLResponse)
    app.add_api_route("/report/{dag_id}/{run_id}/{task_id}/{map_index}", _task_page, response_class=HTMLResponse)
    app.add_api_route("/docs/{name}", _docs_page, response_class=HTMLResponse)
    app.add_api_route("/static/{name}", _file, response_class=Response)
    app.add_exception_handler(EcdpError, _refusal)
    app.middleware("http")(_with_headers)
    return app


def _run_page(dag_id: str, run_id: str) -> HTMLResponse:  # noqa: ARG001 - the script reads them from the address
    return _shell("../..")


def _task_page(dag_id: str, run_id: str, task_id: str, map_index: str) -> HTMLResponse:  # noqa: ARG001 - as above
    return _shell("../../../..")


def _shell(up: str) -> HTMLResponse:
    """Return the page without its data, which its script fetches with the login of the reader.

    :param up: the relative path from the page's address to `/ecdp`
    """
    text = (_STATIC / "report.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{up}", up).replace("{version}", __version__))


def _docs_page(name: str) -> HTMLResponse:
    page = docs_pages.page(name)
    if page is None:
        raise HTTPException(404, "there is no such page")
    title, content = page
    text = (_STATIC / "docs.html").read_text(encoding="utf-8").replace("{version}", __version__)
    return HTMLResponse(text.replace("{title}", html.escape(title)).replace("{content}", content))


def _file(name: str) -> Response:
    if name not in _FILES:
        raise HTTPException(404, "there is no such file")
    content = (_STATIC / name).read_bytes()
    return Response(content, media_type=_FILES[name], headers={"Cache-Control": "no-cache"})


def _refusal(_: Request, error: Exception) -> JSONResponse:
    transient = isinstance(error, EcdpError) and error.transient
    return JSONResponse({"detail": str(error)}, status_code=503 if transient else 409)


async def _with_headers(request: Request, respond: Callable[[Request], Awaitable[Response]]) -> Response:
    # Postgres takes no text with this character, and no id has it
    odd = "\x00" in request.scope["path"]
    response = JSONResponse({"detail": "Not Found"}, 404) if odd else await respond(request)
    response.headers.update(_HEADERS)
    if "cache-control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
