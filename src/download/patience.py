"""How long a transfer waits for a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Times of a transfer, in seconds.

    Attributes:
        connect: within which a server must accept a connection.
        stall: without a byte, after which a connection is given up and asked for again.
        first_wait: before the second try; it doubles with each further one.
        longest_wait: that it grows to.
        total: without a byte over all tries, after which the transfer ends with an error.
        tries: in a row that may fail while no server has answered yet in the run, and the number
            of wrong answers in a row that end the transfer.
    """

    connect: float = 10.0
    stall: float = 30.0
    first_wait: float = 2.0
    longest_wait: float = 60.0
    total: float = 30 * 60.0
    tries: int = 3
