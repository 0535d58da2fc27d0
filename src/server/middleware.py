"""What surrounds every request: the rules of access, headers for security, figures."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genspot.server.access import SECURITY_HEADERS, AccessRules
from genspot.server.errors import RequestError, error_response
from genspot.server.metrics import Metrics

OTHER = "other"  # the route, in figures, of addresses that do not exist
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")


class Guard:
    """Checks each request before its body is read, and completes each response.

    Args:
        app: answers what is allowed.
        rules: that a request must keep.
        metrics: in which it is counted.
    """

    def __init__(self, app: ASGIApp, rules: AccessRules, metrics: Metrics) -> None:
        self.app, self.rules, self.metrics = app, rules, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            await self._answer(scope, receive, send_completed)
        finally:
            route = getattr(scope.get("route"), "path", OTHER)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            self.metrics.count_request(route, method, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        try:
            self.rules.check(scope["method"], scope["path"], Headers(scope=scope), address)
        except RequestError as error:
            await error_response(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)
