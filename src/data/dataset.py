"""The images of a table of samples. Without PyTorch, whose loaders take it as a data set."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.common.images import augmented
from genspot.data import image_io
from genspot.data.photo_reading import Crop, PhotoReading, PixelFunction
from genspot.data.samplers import SampleIndex
from genspot.data.settings import MAX_MEGAPIXELS, MAX_WHOLE_MEGAPIXELS

if TYPE_CHECKING:
    import albumentations

MAX_JPEG_SIDE = 65_500  # pixels; a JPEG, and so its degradation, holds no longer sides
DEGRADATIONS = "degradations"  # the setting of the transforms of test images
# A row to what is kept of its image in place of the pixels, and whether the image was padded.
FeatureFunction = Callable[[int], tuple[np.ndarray, bool]]
Protocols = tuple[PixelFunction | None, PixelFunction | None]  # of real and of fake images
MAX_SUBSTITUTES = 100  # unreadable files in a row after which a training sample is given up


class Sample(TypedDict):
    """One row of the table with its image."""

    row: int
    label: int
    # uint8, H×W×3, or the float32 features of the image; None if the file cannot be read.
    image: np.ndarray | None
    padded: bool  # whether the image, augmented, was smaller than the crop
    unreadable: list[tuple[int, str]]  # rows that could not be read, and why


class ImageDataset:
    """The images of a table, augmented and cropped; indexed by (epoch, row).

    All randomness of a sample depends on (seed, epoch, row) alone: not on workers, ranks, batch
    size, or the point where a run was resumed.

    Args:
        table: of `genspot.data.layout.SAMPLE_SCHEMA`.
        augment: applied to the whole image, before the crop, so that the phase of JPEG's 8×8 grid
            in the crop stays random; None leaves the image as it is.
        geometry: the size to resize to before the augmentation, and to crop to after it.
        train: crop where the geometry says and flip; otherwise crop the centre.
        seed: seed of the random streams.
        read: a function from a row to its image (`uint8`, H×W×3); None reads the files of the
            table.
        setting: where `augment` stands, for messages. An image on which `DEGRADATIONS` fail is
            unreadable; an augmentation of the user that fails is an error.
        max_megapixels: of an image that is read; larger ones are unreadable.
        max_whole_megapixels: of an image that is neither cropped nor resized to one size.
        protocols: what is done to each image before all else: functions from pixels to pixels
            that give the same each time, of images whose label is not 1 and of fakes. An image on
            which its function fails is unreadable.
        flip: probability that a training image is mirrored, left for right.

    Attributes:
        features: gives what a sample holds in place of its image, or raises UnreadableError; None:
            samples hold images.

    Raises:
        GenspotError: on indexing: the augmentation fails or returns no image.
    """

    def __init__(
        self,
        table: pa.Table,
        augment: albumentations.Compose | None = None,
        geometry: Geometry = Geometry(),  # noqa: B008 (immutable)
        train: bool = False,
        seed: int = 0,
        read: Callable[[int], np.ndarray] | None = None,
        setting: str = "aug",
        max_megapixels: int = MAX_MEGAPIXELS,
        max_whole_megapixels: int = MAX_WHOLE_MEGAPIXELS,
        protocols: Protocols = (None, None),
        flip: float = 0.5,
    ) -> None:
        self.table, self.flip = table, flip
        self.paths, self.labels = table["path"], table["label"].to_numpy()
        self.read = read or self._read_file
        self.augment = augment if augment is not None and augment.transforms else None
        self.geometry, self.train, self.seed, self.setting = geometry, train, seed, setting
        self.max_megapixels = max_megapixels
        self.readings = tuple(
            PhotoReading(geometry, protocol, max_megapixels, max_whole_megapixels)
            for protocol in protocols
        )
        self.bit_generator = np.random.PCG64(0)  # its state is replaced for each image
        self.features: FeatureFunction | None = None

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: SampleIndex) -> Sample:
        epoch, requested = index
        sample = Sample(row=requested, label=0, image=None, padded=False, unreadable=[])
        for row in self._candidates(requested):
            try:
                sample["image"], sample["padded"] = self._content(row, epoch, requested)
            except GenspotError:
                raise
            except Exception as error:  # a broken file can raise nearly anything
                sample["unreadable"].append((row, image_io.describe_error(error)))
                continue
            sample["row"] = row
            break
        sample["label"] = int(self.labels[sample["row"]])
        return sample

    def _content(self, row: int, epoch: int, requested: int) -> tuple[np.ndarray, bool]:
        return self.features(row) if self.features else self.render(row, epoch, requested)

    def render(self, row: int, epoch: int, requested: int) -> tuple[np.ndarray, bool]:
        """Return the image of `row`, augmented, cropped and flipped, and whether it was padded.

        The random stream is that of `epoch` and `requested`, a row or another number below 2^64.

        Raises:
            GenspotError: the augmentation fails or returns no image.
            UnreadableError: see `load_resized`; or the degradations fail.
            Exception: whatever PIL raises.
        """
        return self._augment(self.load_resized(row), row, epoch, requested)

    def _candidates(self, requested: int) -> Iterator[int]:
        """Yield the row to read, and in training the rows that replace it if it is unreadable.

        They are the next ones of the same label: if the batch of one rank were smaller or empty,
        the other ranks would wait for it.
        """
        yield requested
        if self.train:
            same = np.flatnonzero(self.labels == self.labels[requested])
            after = np.roll(same, -np.searchsorted(same, requested))
            yield from after[1:MAX_SUBSTITUTES].tolist()

    def load(self, row: int) -> np.ndarray:
        """Return the image of `row` after the protocol.

        Raises:
            UnreadableError: the image is too large, or the protocol fails on it; or see
                `genspot.data.image_io`.
            Exception: whatever PIL raises.
        """
        image = self.read(row)
        height, width = image.shape[:2]
        image_io.check_pixels(width, height, self.max_megapixels)  # for a packed copy
        return self._reading_of(row).change(image)

    def _reading_of(self, row: int) -> PhotoReading:
        return self.readings[int(self.labels[row] == 1)]  # the label of a photo is not known

    def protocol_fault(self, rows: Iterable[int]) -> str | None:
        """Return why the protocol fails on each readable image of `rows`; None if it takes one."""
        faults: list[str] = []
        if not any(reading.protocol for reading in self.readings):
            return None
        for row in rows:
            with suppress(Exception):  # a broken file can raise nearly anything
                image = self.read(row)
                try:
                    self._reading_of(row).change(image)
                except image_io.UnreadableError as error:
                    faults.append(str(error))
                else:
                    return None
        return faults[0] if faults else None

    def load_resized(self, row: int) -> np.ndarray:
        """Return the image of `row` after the protocol, resized.

        Raises:
            UnreadableError: the image is too large or too long, or see `load`.
            Exception: whatever PIL raises.
        """
        image = self._reading_of(row).resize(self.load(row))
        if self.augment is not None and max(image.shape[:2]) > MAX_JPEG_SIDE:
            size = f"{image.shape[1]} × {image.shape[0]}"
            raise image_io.UnreadableError(
                f"{size} pixels: images with a side above {MAX_JPEG_SIDE} are not degraded"
            )
        return image

    def _read_file(self, row: int) -> np.ndarray:
        return image_io.read(self.paths[row].as_py(), self.max_megapixels)

    def _augment(
        self, image: np.ndarray, row: int, epoch: int, requested: int
    ) -> tuple[np.ndarray, bool]:
        """Return the `image` of `row`, augmented, cropped and flipped, and whether it is padded.

        The random stream is that of the requested row.

        Raises:
            GenspotError: the augmentation fails or returns no image.
            UnreadableError: the degradations fail, memory is short, or the whole image is too
                large.
        """
        size = self.geometry.crop
        rng = random.Random((self.seed << 96) | (epoch << 64) | requested)
        if self.augment is not None:
            self.bit_generator.state = {
                "bit_generator": "PCG64",
                # Drawing a state takes a fifth of the time that hashing a seed into one takes.
                "state": {"state": rng.getrandbits(128), "inc": rng.getrandbits(127) * 2 + 1},
                "has_uint32": 0,
                "uinteger": 0,
            }
            self.augment.set_random_state(np.random.Generator(self.bit_generator), rng)
            try:
                least = None if self.setting == DEGRADATIONS else size
                path = self.paths[row].as_py()
                image = augmented(self.setting, self.augment, path, image, least)
            except GenspotError as error:
                if self.setting == DEGRADATIONS:
                    raise image_io.UnreadableError(str(error)) from error
                raise
            except Exception as error:
                reason = image_io.describe_error(error)
                raise image_io.UnreadableError(f"{self.setting}: {reason}") from error
        crop, padded = self._reading_of(row).fit(image, self._cropper(rng))
        if self.train and rng.random() < self.flip:
            crop = crop[:, ::-1]
        # A window keeps its whole image in the memory, until the batch is made.
        return (crop.copy() if image.size > 4 * crop.size else crop), padded

    def _cropper(self, rng: random.Random) -> Crop:
        if self.train and self.geometry.position == "random":
            return lambda image, size: image_io.random_crop(image, size, rng)
        return image_io.centre_crop


def collate(samples: list[Sample]) -> dict[str, Any]:
    """Return a batch of the readable samples, as arrays of NumPy.

    Returns:
        image (`uint8`, N×H×W×3, or None if no sample is readable), label (int64, N), row
        (int64, N), padded (bool, N), and unreadable: (row, reason) pairs.

    Raises:
        GenspotError: the images have different sizes.
    """
    readable = [sample for sample in samples if sample["image"] is not None]
    arrays = [sample["image"] for sample in readable]
    if len(sizes := {array.shape for array in arrays if array is not None}) > 1:
        first, second = (f"{width} × {height}" for height, width, _ in sorted(sizes)[:2])
        raise GenspotError(
            f"an augmentation gives images of different sizes ({first}, {second} pixels), which "
            "fit into no batch: give a crop (model.train.crop), or a transform to one size"
        )
    return {
        "image": np.stack(arrays) if arrays else None,  # type: ignore[arg-type]
        "label": np.array([sample["label"] for sample in readable], np.int64),
        "row": np.array([sample["row"] for sample in readable], np.int64),
        "padded": np.array([sample["padded"] for sample in readable], bool),
        "unreadable": [pair for sample in samples for pair in sample["unreadable"]],
    }
