"""How the servers of published files answer; see download_servers.py."""

from __future__ import annotations

import gzip
import os
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from helpers.download_faults import PAGE, Fault

if TYPE_CHECKING:
    from helpers.download_servers import Servers

REVISION = "f287cf3c3e92ca2e5451ce200bab8b6f5e0175b2"
PIECE = 64 * 1024


@dataclass
class Request:
    """A request that a server has had; `sent` counts the bytes of its answer's body."""

    server: str
    method: str
    name: str
    range: str | None
    headers: Mapping[str, str]
    status: int = 0
    sent: int = 0


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, handler: type[Handler], owner: Servers) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)  # sent is nearly received
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):  # ended already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:  # of a client that is gone
        pass


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; what both servers share."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    role: str
    server: Server
    request_: Request

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.folder, _, name = path.rpartition("/")
        self.owner, self.name = self.server.owner, urllib.parse.unquote(name)
        wanted = self.headers.get("Range")
        self.request_ = Request(self.role, self.command, self.name, wanted, dict(self.headers))
        self.owner.requests.append(self.request_)
        data = self.owner.files.get(self.name)
        span = _span(wanted, len(data)) if data is not None else None
        fault = self.owner.faults.take(self.role, self.name, *(span or (0, 0)))
        if fault is not None and fault.kind == "answer":
            self.send(fault.status, fault.headers, fault.body)
        elif fault is not None and fault.kind == "loop":
            self.send(302, {"Location": self.path})
        elif fault is not None and fault.kind == "cut" and self.role == "hub":
            self.close_connection = True
        elif data is None:
            said = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            self.send(404, said, b"Entry not found")
        else:
            self.answer(data, span, fault)

    do_HEAD = do_GET  # noqa: N815

    def answer(self, data: bytes, span: tuple[int, int] | None, fault: Fault | None) -> None:
        raise NotImplementedError

    def send(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes = b"",
        fault: Fault | None = None,
    ) -> None:
        """Send an answer; a body that is cut or stalls is announced in full."""
        self.request_.status = status
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        broken = fault if fault is not None and fault.kind in ("cut", "stall") else None
        self.send_body(body if broken is None else body[: broken.after])
        if broken is not None:
            self.close_connection = True
            if broken.kind == "stall":
                self.owner.closing.wait(30)
            elif broken.reset:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                os.close(self.connection.detach())  # a `shutdown` would end it in order

    def send_body(self, body: bytes) -> None:
        for start in range(0, len(body), PIECE):
            if self.owner.pause:
                time.sleep(self.owner.pause)
            piece = memoryview(body)[start : start + PIECE]
            self.request_.sent += len(piece)  # before a client that has it all asks for the sum
            try:
                self.wfile.write(piece)
            except OSError:
                self.request_.sent -= len(piece)
                raise


class Hub(Handler):
    role = "hub"

    def answer(self, data: bytes, span: tuple[int, int] | None, fault: Fault | None) -> None:
        if self.folder == "/s" and self.query.get("dl") != "1":
            return self.send(200, {"Content-Type": "text/html; charset=utf-8"}, PAGE)
        if self.folder == "/s":
            return self.redirect(302, f"{self.owner.hub}/scl/fi/0a1b/{self.name}?rlkey=2c&dl=1")
        if self.folder.startswith("/datasets/old/"):  # a repository with another name now
            return self.redirect(307, self.path.replace("/old/", "/org/"))
        if self.folder.startswith("/mirror/"):
            return self.redirect(308, self.owner.hub + self.path.removeprefix("/mirror"))
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self.folder.startswith("/scl/"):
            headers["Location"] = f"{self.signed('cd/0/inline')}#"
        else:
            headers |= {
                "Location": self.signed("signed"),
                "RateLimit": '"resolvers";r=2976;t=166',
                "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
                "X-Repo-Commit": REVISION,
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{self.owner.sha256(self.name)}"',
                "Accept-Ranges": "bytes",
            }
        headers |= fault.headers if fault is not None else {}
        self.send(302, headers, f"Found. Redirecting to {headers['Location']}".encode(), fault)

    def redirect(self, status: int, location: str) -> None:
        """Send the client to another address of this server, without a word on the file."""
        self.send(status, {"Location": location}, f"Redirecting to {location}".encode())

    def signed(self, folder: str) -> str:
        """Return an address of the file at the CDN that is valid for a while."""
        now, lifetime = time.time(), self.owner.lifetime
        token = f"{len(self.owner.requests):x}{now:.6f}"
        self.owner.valid[token] = now + lifetime
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        said = {
            "amz": {"X-Amz-Date": date, "X-Amz-Expires": str(lifetime), "X-Amz-Signature": token},
            "epoch": {
                "Expires": str(int(now + lifetime)),
                "Policy": "eyJTdGF0ZW1lbnQiOltdfQ__",
                "Signature": token,
                "Key-Pair-Id": "K1",
            },
            "silent": {"Signature": token},
        }[self.owner.signing]
        name = urllib.parse.quote(self.name)
        return f"{self.owner.cdn}/{folder}/{name}?{urllib.parse.urlencode(said)}"


class Cdn(Handler):
    role = "cdn"

    def answer(self, data: bytes, span: tuple[int, int] | None, fault: Fault | None) -> None:
        token = self.query.get("X-Amz-Signature") or self.query.get("Signature") or ""
        if self.folder != "/direct" and self.owner.valid.get(token, 0) < time.time():
            return self.send(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        if self.folder == "/cd/0/inline":
            return self.send(302, {"Location": self.path.replace("/inline/", "/inline2/")})
        kind = None if fault is None else fault.kind
        if span is None:
            return self.send(416, {"Content-Range": f"bytes */{len(data)}"})
        start, end = (0, len(data)) if kind == "whole" else span
        if kind == "shift":
            start, end = start + 1, min(end + 1, len(data))
        elif kind == "short":
            end = start + (end - start) // 2
        body = data[start:end]
        if fault is not None and kind == "flip":
            at = (fault.offset or 0) - start
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "binary/octet-stream",
            "ETag": f'"{self.owner.sha256(self.name)[:32]}"',
        }
        if kind == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        status = 200 if kind == "whole" or "Range" not in self.headers else 206
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        headers |= fault.headers if fault is not None else {}
        self.send(status, headers, body, fault)


def _span(wanted: str | None, size: int) -> tuple[int, int] | None:
    """Return start and end of a `Range` header; None where it lies outside."""
    if wanted is None:
        return 0, size
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    start, end = int(first), min(size, int(last) + 1 if last else size)
    return (start, end) if start < end else None
