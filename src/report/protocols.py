"""What was done to every image of a run after it was decoded, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import FAKES, split_condition

AS_THEY_ARE = "Pictures, spectra and the shortcut baseline are of the files as they are."


def protocol_of(metrics: Mapping[str, Any]) -> str:
    """Return the protocol of the test images; "none" without one."""
    return str(metrics.get("protocol", NO_PROTOCOL))


def protocol_of_training(metrics: Mapping[str, Any]) -> str:
    """Return the protocol of the training images; "none" without one."""
    return str(metrics["trained_on"].get("protocol", NO_PROTOCOL))


def condition_of(metrics: Mapping[str, Any]) -> str:
    """Return the condition of the test, such as "fakes_jpeg_75"; "" without one."""
    protocol = protocol_of(metrics)
    return protocol if split_condition(protocol)[0] else ""


def is_plain(metrics: Mapping[str, Any]) -> bool:
    """Return whether the test had the protocol of the training, and no condition."""
    return protocol_of(metrics) == protocol_of_training(metrics)


def is_changed(metrics: Mapping[str, Any]) -> bool:
    """Return whether a protocol changed the test images."""
    return protocol_of(metrics) != NO_PROTOCOL


def choice(metrics: Mapping[str, Any]) -> str:
    """Return the protocol, and that of the training where it is another."""
    tested, trained = protocol_of(metrics), protocol_of_training(metrics)
    if condition_of(metrics):
        return tested if trained == NO_PROTOCOL else f"{tested}, then protocol {trained}"
    text = f"protocol {tested}" if is_changed(metrics) else "no protocol"
    return text if trained == tested else f"{text}, trained with {trained}"


def change(metrics: Mapping[str, Any]) -> str:
    """Return in a sentence which images a protocol changed, and how."""
    tested, trained = protocol_of(metrics), protocol_of_training(metrics)
    condition, steps = split_condition(tested)
    if not condition:
        return "every image was changed like this after it was decoded."
    which = "the fakes alone were" if condition == FAKES else "real and fake images alike were"
    text = f"{which} changed by {steps} after they were decoded"
    if trained != NO_PROTOCOL:
        text += f", then every image by {trained}, the protocol of the training"
    return f"{text}."


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know of the protocols, one line each."""
    tested, trained = protocol_of(metrics), protocol_of_training(metrics)
    found = []
    if is_changed(metrics):
        found.append(f"protocol={tested}: {change(metrics)} {AS_THEY_ARE}")
    if condition_of(metrics):
        if metrics.get("fit"):
            found.append(
                "The threshold and the temperature are those of the detector: they were fitted on "
                "validation images without this change."
            )
        return found
    if tested != trained:
        found.append(
            f"The detector was trained with protocol={trained} and tested with protocol={tested}."
        )
    return found
