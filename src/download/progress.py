"""The progress of a transfer: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

from types import TracebackType


class Progress:
    """Bytes that arrived and bytes that were verified; its methods may be called by any thread.

    Args:
        title: for the bar and the lines.
        total: bytes that the transfer will take.
        quiet: show nothing.
    """

    def __init__(self, title: str, total: int, quiet: bool = False) -> None:
        raise NotImplementedError

    def add(self, count: int) -> None:
        """Count bytes that arrived."""
        raise NotImplementedError

    def verified(self, count: int) -> None:
        """Count bytes whose checksum was right."""
        raise NotImplementedError

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError
