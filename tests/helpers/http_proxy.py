"""A proxy on loopback."""

from __future__ import annotations

import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding"}


class Proxy(ThreadingHTTPServer):
    """Passes requests of absolute http addresses on; one connection for each.

    Attributes:
        url: its address, as `http_proxy` takes it.
        addresses: those asked for so far.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.addresses: list[str] = []

    def handle_error(self, *_: Any) -> None:  # of a client that is gone
        pass


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.addresses.append(self.path)
        parts = urllib.parse.urlsplit(self.path)
        if parts.hostname is None:
            return self.send_error(400, "no absolute address")
        target = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        kept = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
        try:
            target.request(self.command, path, headers=kept)
            response = target.getresponse()
        except OSError:
            return self.send_error(502)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        while piece := response.read1(65536):
            self.wfile.write(piece)
        target.close()

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def http_proxy() -> Iterator[Proxy]:
    """Yield a running proxy."""
    with Proxy() as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
