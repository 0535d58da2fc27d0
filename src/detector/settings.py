"""What a model is: the settings of one file of conf/model/, which a checkpoint carries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.common.text import safe_repr

TRAINABLE = ("all", "head")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")  # of a training
SHORT_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}  # as in Lightning
ENCODER_WEIGHTS = "encoder_weights"  # the setting of a backbone that names its encoder's weights
ENCODER_SETTING = f"model.backbone.{ENCODER_WEIGHTS}"
PRETRAINED = "pretrained"  # its value for those that the encoder's library downloads
MAX_VALUES = 1000  # of all settings of a checkpoint together
# Sizes of numbers: those beyond, or their products and quotients, overflow or vanish in float32.
SMALLEST, LARGEST = 1e-18, 1e18


@dataclass(frozen=True)
class ModelSettings:
    """A detector's architecture and its own input settings.

    Attributes:
        name: as in `model=NAME`; shown in reports.
        input: name and settings of the input representation (`genspot.detector.inputs`).
        backbone: name and settings of the backbone (`genspot.detector.backbones`). Each is None
            where a `_target_` of the user's own config builds it.
        train: geometry of training and validation images.
        test: geometry of test images.
        trainable: "all" parameters, or the "head" alone (the last linear layer).

    Raises:
        GenspotError: a value of another type, out of range, or not plain.
    """

    name: str
    input: dict[str, Any] | None
    backbone: dict[str, Any] | None
    train: Geometry
    test: Geometry
    trainable: str = "all"

    def __post_init__(self) -> None:
        if fault := next(self._faults(), None):
            raise GenspotError(fault)

    def _faults(self) -> Iterator[str]:
        if not is_name(self.name):
            yield f"model.name={safe_repr(self.name)} is not a valid name"
        for key, value in (("input", self.input), ("backbone", self.backbone)):
            if value is None:
                continue
            if not isinstance(value, dict) or not is_name(value.get("name")):
                yield f"model.{key}={safe_repr(value)} has no name"
            elif fault := find_non_plain_value(value):
                yield f"model.{key}: {fault}"
            else:
                yield from _faults_of_numbers(f"model.{key}", value)
        if not self.train.fixed_size:
            yield (
                "model.train.crop=null: training needs a crop, or resize: [height, width], for "
                "batches of one size"
            )
        if self.trainable not in TRAINABLE:
            yield f"model.trainable={safe_repr(self.trainable)}: choose {' or '.join(TRAINABLE)}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint; initial weights are left out (None)."""
        values = asdict(self) | {"train": self.train.as_dict(), "test": self.test.as_dict()}
        if self.backbone and "weights" in self.backbone:
            values["backbone"]["weights"] = None
        return values

    def without_initial_weights(self) -> ModelSettings:
        """Return the same for a network whose weights a checkpoint holds."""
        return self.from_dict(self.as_dict())

    @classmethod
    def from_dict(cls, values: Any) -> ModelSettings:
        """Return the settings that `as_dict` gave.

        Raises:
            GenspotError: `values` has another form.
        """
        check_keys("model", values, ["name", "input", "backbone", "train", "test"], ["trainable"])
        geometry = {}
        for key in ("train", "test"):
            position = ["position"] if key == "train" else []  # a test crops the centre
            check_keys(f"model.{key}", values[key], [], ["resize", "crop", *position])
            geometry[key] = Geometry(**values[key], setting=f"model.{key}")
        return cls(**{**values, **geometry})


def check_keys(
    setting: str, values: Any, required: Sequence[str], optional: Sequence[str] = ()
) -> None:
    """Raise if `values` is no dict of the `required` keys and any of the `optional` ones.

    Raises:
        GenspotError: with the first key that is missing, or that there is no setting for.
    """
    names = ", ".join([*required, *optional])
    if not isinstance(values, dict):
        raise GenspotError(f"{setting}={safe_repr(values)}: give {names}")
    for key in required:
        if key not in values:
            raise GenspotError(f"{setting}.{key} is missing; give {names}")
    for key in values:
        if key not in (*required, *optional):
            raise GenspotError(f"{setting}.{safe_repr(key)}: no such setting ({names})")


def is_name(value: Any) -> bool:
    """Return whether `value` can name a config file or a registered component."""
    return isinstance(value, str) and bool(re.fullmatch(r"\w[\w.+-]{0,99}", value))


def find_non_plain_value(value: Any) -> str | None:
    """Return why `value` is not made of plain values (text, numbers, lists, dicts), or None.

    Interpolations (`${…}`) are not plain: OmegaConf would fill them in, from the environment too.
    """
    pending = [value]
    for _ in range(MAX_VALUES):
        if not pending:
            return None
        part = pending.pop()
        if fault := _fault_of_scalar(part):
            return fault
        if isinstance(part, dict):
            if not all(isinstance(key, str) and key != "_target_" for key in part):
                return "a key that is not a setting"
            pending += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            pending += part
    return f"more than {MAX_VALUES} values"  # or a list that contains itself


def _fault_of_scalar(value: Any) -> str | None:
    if isinstance(value, str):
        plain = "${" not in value and value != "???" and len(value) <= 1000 and value.isprintable()
        return None if plain else f"{safe_repr(value)} is not plain text"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "a number of more than 64 bits"
    if value is None or isinstance(value, int | float | dict | list | tuple):
        return None
    return f"a {type(value).__name__} is not a plain value"


def _faults_of_numbers(setting: str, value: Any) -> Iterator[str]:
    """Yield which numbers below `setting`, made of plain values, float32 cannot compute with."""
    pending = [(setting, value)]
    while pending:
        setting, part = pending.pop()
        if isinstance(part, dict):
            pending += [(f"{setting}.{key}", below) for key, below in part.items()]
        elif isinstance(part, list | tuple):
            pending += [(setting, below) for below in part]
        elif isinstance(part, float) and part != 0 and not SMALLEST <= abs(part) <= LARGEST:
            yield (
                f"{setting}: {part} is not finite, or too large or too small for float32; give 0 "
                f"or a number of a size from {SMALLEST:g} to {LARGEST:g}"
            )
