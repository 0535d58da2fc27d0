"""The settings of data sets and of their loading."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError

MEGAPIXEL = 1_000_000
MAX_MEGAPIXELS = 179  # PIL reads as much; larger photos are often decompression bombs
MAX_DEFAULT_WORKERS = 16
MAX_WHOLE_MEGAPIXELS = 32  # a ResNet-50 takes 6.6 GB for it; the released images have up to 24

Split = Literal["train", "val", "test", "predict"]
# What images are read for; thresholds are calibrated on validation images as tests see theirs.
Use = Literal[Split, "calibration"]
TRAINING_SPLITS: tuple[Split, ...] = ("train", "val")
SPLIT_NAMES: dict[Split, str] = {  # in words, in the order of messages
    "train": "training",
    "val": "validation",
    "test": "test",
    "predict": "input",
}
Classes = list[str] | Literal["any"] | None

# Where images come from: the path of a folder, a ZIP file, a list, or Parquet and Arrow files of
# encoded images; or {real:, fake:}, {path:, image:, label:, class:, generator:} or {hub:, …}.
Place = str | Mapping[str, Any]

# An image side of less than 16 pixels shows no complete period of the simulators' upsampling; an
# interval needs two photographs (`data/simulated/build.py`).
MIN_SIMULATION = {"size": 16, "seed": 0, "train": 2, "super_resolved": 2, "val": 1, "test": 2}

# How a simulated generator doubles height and width; each stands for a family of real generators.
UPSAMPLERS = ("nearest", "bilinear", "deconv4", "deconv3", "deconv2", "shuffle")

# Which random simulators make fakes: all, those that a discriminator was trained against, or the
# others.
DISCRIMINATOR_CHOICES = ("any", "with", "without")

# Whose weights are in packages that the extra super-resolution installs.
SUPER_RESOLUTION_NETWORKS = ("realesrgan", "waifu2x", "realcugan")


def paths_of(place: Place) -> list[str]:
    """Return the paths of a place; a data set of Hugging Face has none."""
    if isinstance(place, str):
        return [place]
    return [place[key] for key in ("path", "real", "fake") if place.get(key)]


@dataclass(frozen=True)
class Labels:
    """Names of the labels: of folders, and of values in columns. Case does not matter.

    The first names of both come before the others: where a set has a folder of that name, only
    they are label folders.
    """

    real: tuple[str, ...]
    fake: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [name.casefold() for name in (*self.real, *self.fake)]
        if not (self.real and self.fake) or len(set(names)) < len(names):
            raise GenspotError(
                "labels: give at least one name for real and one for fake, each name once"
            )

    @cached_property
    def values(self) -> dict[str, int]:
        """The label of each name in lower case: 0 real, 1 fake."""
        real, fake = (dict.fromkeys(map(str.casefold, names)) for names in (self.real, self.fake))
        return dict.fromkeys(real, 0) | dict.fromkeys(fake, 1)

    @property
    def first(self) -> dict[str, int]:
        """The first name of each label, as it is written."""
        return {self.real[0]: 0, self.fake[0]: 1}


DEFAULT_LABELS = Labels(real=("0_real", "real", "nature"), fake=("1_fake", "fake", "ai"))


@dataclass(frozen=True)
class TrainingSet:
    """What a detector is trained and validated on: one choice of `data=`."""

    name: str
    train: Place | None  # the training images
    val: Place | None  # the validation images
    classes: Classes  # class folders; "any": every one there is; None: no class folders
    num_classes: int | None = None  # train on this many classes, drawn with the seed; None: all
    simulator: dict[str, Any] | None = None  # name, upsampling and stages, if it is built here
    format: str = "files"  # "files", or "packed" to read a packed copy
    own: bool = False  # of the user's own: nobody can download it
    offer: str = ""  # the command that fetches the images, in a sentence; "": there is none
    labels: Labels = DEFAULT_LABELS
    parts: tuple[TestSet, ...] = ()  # of data=sets: trained on together, in place of train and val

    def __post_init__(self) -> None:
        if self.parts and (self.num_classes is not None or self.format != "files"):
            raise GenspotError(
                f"data={self.name} trains on all classes of image files: leave data.num_classes "
                "and data.format as they are"
            )
        if self.format not in ("files", "packed"):
            raise GenspotError(f"data.format={self.format}: choose files or packed")
        if self.num_classes is not None:
            check_integer("data.num_classes", self.num_classes, minimum=1)


@dataclass(frozen=True)
class TestSet:
    """Real images and the fakes of one generator."""

    __test__ = False  # pytest takes classes named Test… for tests

    name: str  # names the metrics: ap/NAME
    path: Place | None  # the images
    classes: Classes  # see `TrainingSet.classes`
    simulator: dict[str, Any] | None = None  # what makes the fakes, if the set is built here
    setting: str = ""  # the choice of `generator=` that defines the set; "": as `name`
    download: str | None = None  # page of its release; None: not known
    # The command that fetches the images, in a sentence, where {names} stands for `choice` of each
    # missing set; "": there is none.
    offer: str = ""
    own: bool = False  # of the user's own: nobody can download it
    labels: Labels = DEFAULT_LABELS
    # Of data=sets, see `genspot.data.splits`.
    train: Place | None = None  # its training images; None: a part of those at `path`
    val: Place | None = None  # its validation images; None: a part of the training images
    by_class: bool = False  # all images of a class stay in one part
    divided: bool = False  # only the test part of the images at `path` is tested

    @property
    def choice(self) -> str:
        """The choice of `generator=` that defines the set."""
        return self.setting or self.name


@dataclass(frozen=True)
class Loading:
    """How images are read into batches."""

    batch_size: int  # images of a training step, over all ranks
    eval_batch_size: int  # images of an evaluation step, per rank
    workers: int | None  # reading processes per rank; None: one per core, at most 16
    seed: int  # of the order of the images and of all augmentations
    balanced: bool = False  # train on as many real images as fakes in each epoch
    flip: float = 0.5  # probability that a training image is mirrored, left for right
    max_megapixels: int = MAX_MEGAPIXELS  # of a photo that is decoded
    max_whole_megapixels: int = MAX_WHOLE_MEGAPIXELS  # of what the network sees without a crop

    def __post_init__(self) -> None:
        check_integer("schedule.batch_size", self.batch_size, minimum=1)
        check_integer("schedule.eval_batch_size", self.eval_batch_size, minimum=1)
        if self.workers is not None:
            check_integer("workers", self.workers, minimum=0)
        for name in ("max_megapixels", "max_whole_megapixels"):
            check_integer(name, getattr(self, name), minimum=1, maximum=4000)


@dataclass(frozen=True)
class Simulation:
    """How large the data sets are that are built here."""

    size: int  # side of the images in pixels
    seed: int
    train: int  # numbers of images of each label, real and fake
    val: int
    test: int
    super_resolved: int  # in place of `train`, of a super-resolution network's set

    def __post_init__(self) -> None:
        for name, minimum in MIN_SIMULATION.items():
            check_integer(f"simulation.{name}", getattr(self, name), minimum)

    def images(self, split: str, simulator: Mapping[str, Any]) -> int:
        """Return how many images of each label a simulator's set of `split` has."""
        if split == "train" and "network" in simulator:
            return self.super_resolved
        number: int = getattr(self, split)
        return number


def default_workers() -> int:
    """Return the number of cores that this process may use, at most 16."""
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return 4
    return min(MAX_DEFAULT_WORKERS, len(os.sched_getaffinity(0)))
