"""Servers in the place of Weights & Biases': slow, lost, silent, refusing."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class RefusingHandler(QuietHandler):
    """Accepts no key."""

    def do_POST(self) -> None:
        self.send_error(401)

    do_GET = do_POST  # noqa: N815


class AcceptingHandler(QuietHandler):
    """Accepts any key, run and figure (no tables), `delay` seconds after a request.

    Attributes:
        history: what was logged, a dict for each step.
    """

    delay = 0.0
    history: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        time.sleep(self.delay)
        request = json.loads(body) if body[:1] == b"{" else {}
        for line in request.get("files", {}).get("wandb-history.jsonl", {}).get("content", ()):
            self.history.append(json.loads(line))
        user = {"id": "1", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        project = {"id": "1", "name": "genspot", "entity": {"id": "1", "name": "me"}}
        name = (request.get("variables") or {}).get("name")
        run = {"id": "1", "name": name, "displayName": "a", "project": project}
        answers = {
            "viewer": user,
            "upsertBucket": {"bucket": run, "inserted": True},
            "createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []},
        }
        text = json.dumps({"data": answers} if "query" in request else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST  # noqa: N815


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:  # of a client that does not wait for the answer
        pass


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield the address of a server of `handler`."""
    with QuietServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def serve_silence() -> Iterator[str]:
    """Yield the address of a server that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        connections = []

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
