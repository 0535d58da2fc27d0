"""What was done to every image of a run after it was decoded, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genspot.common.names import NO_PROTOCOL


def protocol_of(metrics: Mapping[str, Any]) -> str:
    """Return the protocol of the test images; "none" without one."""
    return str(metrics.get("protocol", NO_PROTOCOL))


def protocol_of_training(metrics: Mapping[str, Any]) -> str:
    """Return the protocol of the training images; "none" without one."""
    return str(metrics["trained_on"].get("protocol", NO_PROTOCOL))


def is_changed(metrics: Mapping[str, Any]) -> bool:
    """Return whether a protocol changed the test images."""
    return protocol_of(metrics) != NO_PROTOCOL


def choice(metrics: Mapping[str, Any]) -> str:
    """Return the protocol, and that of the training where it is another."""
    tested, trained = protocol_of(metrics), protocol_of_training(metrics)
    text = f"protocol {tested}" if is_changed(metrics) else "no protocol"
    return text if trained == tested else f"{text}, trained with {trained}"


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know of the protocols, one line each."""
    tested, trained = protocol_of(metrics), protocol_of_training(metrics)
    found = []
    if is_changed(metrics):
        found.append(
            f"protocol={tested}: every image was changed like this after it was decoded. "
            "Pictures, spectra and the shortcut baseline are of the files as they are."
        )
    if tested != trained:
        found.append(
            f"The detector was trained with protocol={trained} and tested with protocol={tested}."
        )
    return found
