"""The web page, its style sheet and script, and the page that describes the API."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response

from genspot.report.templating import render_template
from genspot.report.verdict_page import stylesheet
from genspot.server.limits import MEGABYTE, Limits

PACKAGE = "genspot.server"
PAGE_METHODS = ["GET", "HEAD"]


class Web:
    """The routes for readers.

    Args:
        app: whose API the second page describes.
        detectors: that answer; their names are shown.
        limits: that the page's script checks before it sends photos.
        needs_token: whether the API needs a token.
    """

    def __init__(
        self,
        app: FastAPI,
        detectors: Sequence[dict[str, Any]],
        limits: Limits,
        needs_token: bool,
    ) -> None:
        self.app = app
        self.page = render_template(
            "page.html",
            package=PACKAGE,
            detectors=detectors,
            max_photos=limits.max_photos,
            max_bytes=limits.max_request_bytes,
            max_megabytes=f"{limits.max_request_bytes / MEGABYTE:g}",
            needs_token=needs_token,
            version=app.version,
        )
        static = files(PACKAGE) / "static"
        self.script = (static / "page.js").read_text("utf-8")
        self.styles = stylesheet() + (static / "page.css").read_text("utf-8")

    def router(self) -> APIRouter:
        """Return the routes. They need no token and hold nothing of a photo."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.show_page, methods=PAGE_METHODS)
        router.add_api_route("/page.js", self.show_script, methods=PAGE_METHODS)
        router.add_api_route("/page.css", self.show_styles, methods=PAGE_METHODS)
        router.add_api_route("/docs", self.show_docs, methods=PAGE_METHODS)
        return router

    async def show_page(self) -> HTMLResponse:
        """Return the page on which a photo is chosen."""
        return HTMLResponse(self.page)

    async def show_script(self) -> Response:
        """Return its script."""
        return Response(self.script, media_type="text/javascript")

    async def show_styles(self) -> Response:
        """Return its style sheet, which is also that of the answers."""
        return Response(self.styles, media_type="text/css")

    async def show_docs(self, request: Request) -> HTMLResponse:
        """Return a page that describes the API, from its OpenAPI description."""
        page = render_template(
            "docs.html",
            package=PACKAGE,
            api=self.app.openapi(),
            address=str(request.base_url).rstrip("/"),
            version=self.app.version,
        )
        return HTMLResponse(page)
