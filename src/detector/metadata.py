"""What a checkpoint says of itself: the model, and what it was trained on.

A checkpoint may come from anybody. Its metadata is checked to be plain values before anything is
made of it: it holds names and settings of registered components, and no `_target_` is read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.common.names import NO_PROTOCOL
from genspot.common.text import safe_repr
from genspot.detector.settings import (
    ModelSettings,
    check_keys,
    find_non_plain_value,
    is_name,
)

VERSION = 2  # of the metadata's form; 1 held Hydra nodes with `_target_`

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class Metadata:
    """A checkpoint's own description.

    Attributes:
        data: name of the training set (a file of conf/data/).
        num_classes: how many classes of it were drawn, or None for all.
        aug: name of the augmentation, or None where a foreign file does not say.
        study: the study (a file of experiments/) that trained it, or None.
        seed: of the training, or None where a foreign file does not say.
        model: the model's settings.
        protocol: what was done to each image after it was decoded, in the words of the setting
            `protocol`; files of versions that had none lack it.
        changed: the settings that made the training another than its data, augmentation and model
            are by their names, such as "data.classes", or "model.weights" of a fine-tuning.
    """

    data: str
    num_classes: int | None
    aug: str | None
    study: str | None
    seed: int | None
    model: ModelSettings
    protocol: str = NO_PROTOCOL
    changed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("data", self.data), ("aug", self.aug), ("study", self.study)):
            if not is_name(value) and (name == "data" or value is not None):
                raise GenspotError(f"{name}={safe_repr(value)} is not a valid name")
        if not is_name(self.protocol):  # it is parsed where it is applied
            raise GenspotError(f"protocol={safe_repr(self.protocol)} is no protocol")
        if not all(map(is_name, self.changed)):
            raise GenspotError(f"changed={safe_repr(self.changed)} are no settings")
        for name, number in (("num_classes", self.num_classes), ("seed", self.seed)):
            if number is not None and type(number) is not int:
                raise GenspotError(f"{name}={safe_repr(number)} is not a whole number")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, with the version of their form."""
        values = {"version": VERSION, **asdict(self), "model": self.model.as_dict()}
        if self.protocol == NO_PROTOCOL:
            del values["protocol"]
        del values["changed"]
        return values | ({"changed": [*self.changed]} if self.changed else {})

    @classmethod
    def from_dict(cls, values: Any, path: Path, setting: str = "checkpoint") -> Metadata:
        """Return the metadata that `as_dict` put into the checkpoint at `path`.

        Args:
            values: from anybody.
            path: of the file, for messages.
            setting: that gave the path, for messages.

        Raises:
            GenspotError: another version or form; the first fault is named.
        """
        version = values.get("version") if isinstance(values, dict) else None
        if type(version) is not int or version != VERSION:  # it may be a tensor
            raise GenspotError(
                f"{setting}={path} was made by another version of genspot, or by another "
                "program; train it again, or give the network's state dict alone"
            )
        try:
            if fault := find_non_plain_value(values):
                raise GenspotError(fault)
            names = [field.name for field in fields(cls)]
            optional = ["protocol", "changed"]
            required = [name for name in names if name not in optional]
            check_keys("metadata", values, ["version", *required], optional)
            given = {name: values[name] for name in names if name in values}
            given["model"] = ModelSettings.from_dict(values["model"])
            changed = values.get("changed", [])
            if not isinstance(changed, list):
                raise GenspotError(f"changed={safe_repr(changed)} are no settings")
            return cls(**given | {"changed": tuple(changed)})
        except GenspotError as error:
            raise GenspotError(
                f"{setting}={path} has invalid metadata: {safe_repr(error)}; take the best.ckpt "
                "that a training left, or the network's state dict alone"
            ) from error


# The detector of Wang et al., CVPR 2020, section 4. Files without metadata are taken for it.
PUBLISHED = Metadata(
    data="progan_20cls",
    num_classes=None,
    aug=None,
    study=None,
    seed=None,
    model=ModelSettings(
        name="resnet50",
        input={"name": "pixels", **IMAGENET},
        backbone={"name": "resnet", "arch": "resnet50", "weights": None},
        train=Geometry(resize=256, crop=224),
        test=Geometry(resize=None, crop=224),
    ),
)
