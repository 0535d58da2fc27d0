"""Errors of requests, all in one JSON form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from genspot.common.errors import GenspotError
from genspot.common.text import printable
from genspot.server.batching import QueueFullError

log = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        code: a short name of the reason, for programs.
        message: what is wrong and what to do, in one line.
        retry_after: seconds after which the same request may succeed; None where it never does.
        details: further keys of the error in the response.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.details = retry_after, dict(details or {})


def error_response(error: RequestError) -> JSONResponse:
    """Return the response for an error: {"error": {"status", "code", "message", …}}."""
    content = {
        "status": error.status,
        "code": error.code,
        "message": printable(error.message),
        "retry_after": error.retry_after,
        **error.details,
    }
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": content}, error.status, headers)


def queue_full(retry_after: int) -> RequestError:
    """Return the error of a server that has no room for a request now."""
    return RequestError(
        503,
        "busy",
        f"the server has no room for this request now: try again in {retry_after} s",
        retry_after,
    )


def add_error_handlers(app: FastAPI) -> None:
    """Give each error of `app` the form of `error_response`."""

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(QueueFullError)
    async def busy(_: Request, error: QueueFullError) -> JSONResponse:
        return error_response(queue_full(error.retry_after))

    @app.exception_handler(GenspotError)
    async def mistaken(_: Request, error: GenspotError) -> JSONResponse:
        return error_response(RequestError(422, "refused", str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(RequestError(422, "invalid", _describe(error)))

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> JSONResponse:
        response = error_response(_of_starlette(request, error))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        message = "a fault of the server, which its log describes: no photo was answered"
        return error_response(RequestError(500, "fault", message))


def _describe(error: RequestValidationError) -> str:
    """Return in one line which settings of a request are wrong; their values are not repeated."""
    faults = {
        ".".join(str(part) for part in one["loc"][1:]) or "the request": one["msg"]
        for one in error.errors()
    }
    return "; ".join(f"{where}: {message}" for where, message in faults.items())


def _of_starlette(request: Request, error: HTTPException) -> RequestError:
    status, method = error.status_code, request.method
    if status == HTTPStatus.NOT_FOUND:
        return RequestError(404, "not_found", "no such address; /docs lists those there are")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return RequestError(405, "method", f"{method} is not allowed here; /docs lists what is")
    return RequestError(status, "http", str(error.detail))
