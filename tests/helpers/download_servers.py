"""Servers on loopback in the place of those of the published files.

The hub answers `/datasets/OWNER/NAME/resolve/REVISION/FILE` as Hugging Face does: with a redirect
to a signed address of the CDN that expires, and with the file's size and SHA-256. Of the OWNER
"old" it redirects to "org" by a relative address; below `/mirror/` it redirects all, as mirrors
do. `/s/FILE?dl=1` redirects as Dropbox does: three times, the last by a relative address of the
CDN, and without a word on the file; `dl=0` is a page. The CDN answers ranges; its `/direct/FILE`
needs no signature.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from genspot.download.table import FileEntry
from helpers.download_faults import Fault, Faults
from helpers.download_handlers import REVISION, Cdn, Hub, Request, Server

REPOSITORY = "/datasets/org/set/resolve"


class Servers:
    """The hub and the CDN of `files`.

    Attributes:
        files: bytes of each file; they may be changed in between.
        faults: those to come.
        requests: all so far.
        lifetime: seconds for which a signed address is valid; it says so.
        signing: how the address says it: "amz" (X-Amz-Date, X-Amz-Expires), "epoch" (Expires, as
            CloudFront), or "silent".
        pause: seconds before each 64 KiB of a body.
    """

    def __init__(self, files: Mapping[str, bytes], faults: Iterable[Fault] = ()) -> None:
        self.files = dict(files)
        self.faults = Faults(faults)
        self.requests: list[Request] = []
        self.lifetime = 3600
        self.signing: Literal["amz", "epoch", "silent"] = "amz"
        self.pause = 0.0
        self.closing = threading.Event()
        self.valid: dict[str, float] = {}
        self._hashes: dict[int, tuple[bytes, str]] = {}
        self._running: dict[str, Server] = {}
        self._ports = {"hub": 0, "cdn": 0}
        self.open()

    @property
    def hub(self) -> str:
        """The hub's address, as HF_ENDPOINT takes it."""
        return f"http://127.0.0.1:{self._ports['hub']}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._ports['cdn']}"

    def url(self, name: str) -> str:
        return f"{self.hub}{REPOSITORY}/{REVISION}/{name}"

    def dropbox_url(self, name: str) -> str:
        """An address that redirects three times and says nothing of the file."""
        return f"{self.hub}/s/{name}?dl=1"

    def direct_url(self, name: str) -> str:
        """An address that answers at once."""
        return f"{self.cdn}/direct/{name}"

    def sha256(self, name: str) -> str:
        data = self.files[name]
        if id(data) not in self._hashes:
            self._hashes[id(data)] = data, hashlib.sha256(data).hexdigest()
        return self._hashes[id(data)][1]

    def entry(self, name: str, **changes: Any) -> FileEntry:
        """The right entry of the table of a file, but for `changes`."""
        right = {"url": self.url(name), "size": len(self.files[name]), "sha256": self.sha256(name)}
        return FileEntry(**{"name": name, **right, **changes})

    def served(self, name: str | None = None) -> int:
        """Return how many bytes of the files the CDN has sent since the last `forget`."""
        requests = [request for request in self.requests if request.server == "cdn"]
        return sum(request.sent for request in requests if name in (None, request.name))

    def forget(self) -> None:
        """Forget the requests so far."""
        self.requests = []

    def expire(self) -> None:
        """Make every signed address so far invalid, whatever it says."""
        self.valid.clear()

    def open(self) -> None:
        """Listen, at the ports of before."""
        self.closing.clear()
        for role, handler in (("hub", Hub), ("cdn", Cdn)):
            server = self._running[role] = Server(self._ports[role], handler, self)
            self._ports[role] = server.server_port
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Close the ports and end all connections."""
        self.closing.set()
        for server in self._running.values():
            server.shutdown()
            server.server_close()
            server.end_connections()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody listens meanwhile."""
        self.close()
        try:
            yield
        finally:
            self.open()


@contextmanager
def published_files(
    files: Mapping[str, bytes], faults: Iterable[Fault] = (), **settings: Any
) -> Iterator[Servers]:
    """Yield running servers of `files`; `settings` are attributes of `Servers`."""
    servers = Servers(files, faults)
    for name, value in settings.items():
        setattr(servers, name, value)
    try:
        yield servers
    finally:
        servers.close()
