"""The words of the setting `protocol` that say of which images, beside those that say what."""

from __future__ import annotations

OWN_PROTOCOL = "own"  # the setting's value that stands for the protocol of the checkpoint
MATCHED, FAKES = "matched", "fakes"
CONDITIONS = (MATCHED, FAKES)


def split_condition(protocol: str) -> tuple[str, str]:
    """Return the condition of a test and its steps: "fakes" and "jpeg_75" of "fakes_jpeg_75".

    The condition is "matched" where real and fake images are changed alike, and "fakes" where the
    fakes alone are. A protocol without a condition gives "" and itself.
    """
    for condition in CONDITIONS:
        if protocol == condition or protocol.startswith(f"{condition}_"):
            return condition, protocol[len(condition) + 1 :]
    return "", protocol


def without_condition(protocol: str, own: str) -> str:
    """Return the protocol of images that no condition of a test concerns.

    Args:
        protocol: the value of the setting.
        own: the protocol of the checkpoint's training, which follows a condition.
    """
    condition, _ = split_condition(protocol)
    return own if condition else protocol
