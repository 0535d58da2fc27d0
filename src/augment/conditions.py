"""The conditions of a test: what is done to its images before the detector's own protocol."""

from __future__ import annotations

from genspot.augment.degradations import Protocol, parse_protocol, parse_steps
from genspot.common.errors import GenspotError
from genspot.common.protocols import FAKES, split_condition


def parse_test_protocol(protocol: str, own: str) -> tuple[Protocol | None, Protocol | None]:
    """Return what is done to the real and to the fake images of a test; None for nothing.

    "matched_STEPS" changes all images by STEPS, "fakes_STEPS" the fakes alone; then `own` is
    applied to all. Any other protocol takes the place of `own`.

    Args:
        protocol: the value of the setting. STEPS are those of `parse_steps`; a condition stands
            once, before all of them.
        own: the protocol of the checkpoint's training.

    Raises:
        GenspotError: see `parse_steps`; a condition without steps or in the middle; or fit_N of
            the fakes alone, which would leave out the small ones of one class.
    """
    condition, words = split_condition(protocol)
    if not condition:
        same = parse_protocol(protocol)
        return same, same
    if words in ("", "none"):
        raise GenspotError(f"protocol={protocol}: name what is done, such as {condition}_jpeg_75")
    for word in words.split("+"):
        if split_condition(word)[0]:
            raise GenspotError(
                f"protocol={protocol}: matched_ or fakes_ stands once, before all steps, and "
                "holds for each of them"
            )
        if condition == FAKES and word.startswith("fit_"):
            raise GenspotError(
                f"protocol={protocol}: fit_N leaves out smaller images, here fakes alone: give "
                f"matched_{words}"
            )
    steps, own_steps = parse_steps("protocol", words), parse_steps("protocol", own)
    changed = Protocol((*steps, *own_steps))
    if condition == FAKES:
        return (Protocol(tuple(own_steps)) if own_steps else None), changed
    return changed, changed
