"""A file of a server, read by ranges."""

from __future__ import annotations

import threading
from types import TracebackType

from genspot.common.errors import GenspotError
from genspot.download.patience import Patience
from genspot.download.progress import Progress
from genspot.download.table import FileEntry


class TransferStoppedError(GenspotError):
    """A read was ended by `Client.cancel`."""


def server_address(url: str) -> str:
    """Return `url`, at HF_ENDPOINT where that is set and `url` is one of huggingface.co.

    Raises:
        GenspotError: HF_ENDPOINT is no http address.
    """
    raise NotImplementedError


class Client:
    """Connections to servers, through the proxies of the environment; closes them as a context.

    Attributes:
        patience: see `Patience`.
        stop: set when reads are to end; use `cancel`, which also ends those that wait for bytes.
        requests: number of requests sent.
        received: bytes of files that arrived.
    """

    def __init__(self, patience: Patience = Patience()) -> None:
        self.patience = patience
        self.stop = threading.Event()
        self.requests = 0
        self.received = 0

    def cancel(self) -> None:
        """End all reads at once, from any thread: they raise `TransferStoppedError`."""
        raise NotImplementedError

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError


class RemoteFile:
    """A file of a server as a `ByteSource`; several threads may read it at once.

    All retries are inside `read`. Nothing is asked of the server before the first read.
    """

    def __init__(self, client: Client, entry: FileEntry, progress: Progress) -> None:
        self.client = client
        self.entry = entry
        self.progress = progress
        self.size = entry.size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`, and count them in `progress`.

        Raises:
            GenspotError: the server does not have the file, has another one, or gave no byte for
                as long as `Patience` allows.
            TransferStoppedError: see `Client.cancel`.
        """
        raise NotImplementedError

    def sha256(self) -> str:
        """Return the SHA-256 of the table; else what the server says of the pinned revision.

        Returns:
            64 hexadecimal digits, or 8 where neither knows more.

        Raises:
            GenspotError: nobody knows it, or the server has another one than the table.
        """
        raise NotImplementedError
