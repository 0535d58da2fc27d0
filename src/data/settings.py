"""The settings of data sets and of their loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError

MEGAPIXEL = 1_000_000
MAX_MEGAPIXELS = 179  # PIL reads as much; larger photos are often decompression bombs
MAX_WHOLE_MEGAPIXELS = 32  # a ResNet-50 takes 6.6 GB for it; the released images have up to 24

Split = Literal["train", "val", "test", "predict"]
Classes = list[str] | Literal["any"] | None

# An image side of less than 16 pixels shows no complete period of the simulators' upsampling; an
# interval needs two photographs (`data/simulated/build.py`).
MIN_SIMULATION = {"size": 16, "seed": 0, "train": 2, "val": 1, "test": 2}

# How a simulated generator doubles height and width; each stands for a family of real generators.
UPSAMPLERS = ("nearest", "bilinear", "deconv4", "deconv3", "shuffle")

# Whose weights are in packages that the extra super-resolution installs.
SUPER_RESOLUTION_NETWORKS = ("realesrgan", "waifu2x", "realcugan")


@dataclass(frozen=True)
class TrainingSet:
    """What a detector is trained and validated on: one choice of `data=`."""

    name: str
    train: str | None  # folder of the training images
    val: str | None  # folder of the validation images
    classes: Classes  # class folders; "any": every one there is; None: no class folders
    num_classes: int | None = None  # train on this many classes, drawn with the seed; None: all
    simulator: dict[str, Any] | None = None  # name, upsampling and stages, if it is built here
    format: str = "files"  # "files", or "packed" to read what task=pack wrote
    own: bool = False  # of the user's own: nobody can download it

    def __post_init__(self) -> None:
        if self.format not in ("files", "packed"):
            raise GenspotError(f"data.format={self.format}: choose files or packed")
        if self.num_classes is not None:
            check_integer("data.num_classes", self.num_classes, minimum=1)


@dataclass(frozen=True)
class TestSet:
    """Real images and the fakes of one generator."""

    __test__ = False  # pytest takes classes named Test… for tests

    name: str  # names the metrics: ap/NAME
    path: str | None  # folder of the images
    classes: Classes  # see `TrainingSet.classes`
    simulator: dict[str, Any] | None = None  # what makes the fakes, if the set is built here
    setting: str = ""  # the choice of `generator=` that defines the set; "": as `name`
    own: bool = False  # of the user's own: nobody can download it

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

    def __post_init__(self) -> None:
        for name, minimum in MIN_SIMULATION.items():
            check_integer(f"simulation.{name}", getattr(self, name), minimum)
