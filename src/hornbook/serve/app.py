"""The application: endpoints, the page's files, errors, the guard around all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from hornbook.errors import HornbookError
from hornbook.serve import hornbook, openai
from hornbook.serve.direct import Direct
from hornbook.serve.engine import QueueFullError, StoppedError
from hornbook.serve.errors import ApiError, handle
from hornbook.serve.guard import Access, Guard
from hornbook.serve.service import Service
from hornbook.version import __version__

TYPES = {  # of the page's files; others are not served
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
}


def create_app(service: Service, access: Access | None = None) -> ASGIApp:
    """The ASGI application of a service, which it ends when the server does."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.stop()

    app = FastAPI(
        title="hornbook",
        version=__version__,
        description="Small language models behind OpenAI's API.",
        docs_url=None,  # pages that load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(openai.router(service))
    app.include_router(hornbook.router(service))
    pages = page_files()
    for path, (kind, content) in pages.items():
        _add_page(app, path, kind, content)
    for error in (
        ApiError, HornbookError, QueueFullError, StoppedError, HTTPException, RequestValidationError,
        Exception,
    ):  # fmt: skip
        app.add_exception_handler(error, handle)
    direct = Direct(app, openai.endpoints(service))
    return Guard(direct, access or Access(), service.limits, public={"/health", *pages})


def page_files() -> dict[str, tuple[str, bytes]]:
    """The files of the package's folder `web` by the path they are served at, with their type.

    They are read once: no path of a request reaches the file system.
    """
    found: dict[str, tuple[str, bytes]] = {}

    def add(folder: Traversable, path: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                add(entry, f"{path}{entry.name}/")
            elif (kind := TYPES.get(entry.name.rpartition(".")[2])) is not None:
                found[f"{path}{entry.name}"] = (kind, entry.read_bytes())

    folder = files("hornbook") / "web"
    if folder.is_dir():
        add(folder, "/")
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def _add_page(app: FastAPI, path: str, kind: str, content: bytes) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})
