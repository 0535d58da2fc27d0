"""A PyTorch dataset over a table of samples, and the collation of its samples into batches."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypedDict

import albumentations
import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import Dataset

from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.samplers import SampleIndex

MAX_JPEG_SIDE = 65_500  # pixels; a JPEG, and so its degradation, holds no longer sides
MAX_SUBSTITUTES = 100  # unreadable files in a row after which a training sample is given up


class Sample(TypedDict):
    """One row of the table with its image."""

    row: int
    label: int
    image: np.ndarray | None  # uint8, H×W×3; None if the file cannot be read
    padded: bool  # whether the image was smaller than the crop
    unreadable: list[tuple[int, str]]  # rows that could not be read, and why


class ImageDataset(Dataset[Sample]):
    """The images of a table, augmented and cropped; indexed by (epoch, row).

    All randomness of a sample depends on (seed, epoch, row) alone: not on workers, ranks, batch
    size, or the point where a run was resumed.

    Args:
        table: of `genspot.data.layout.SAMPLE_SCHEMA`.
        augment: applied to the whole image, before the crop, so that the phase of JPEG's 8×8 grid
            in the crop stays random; None leaves the image as it is.
        geometry: the size to resize to before the augmentation, and to crop to after it.
        train: crop at random and flip half of the images; otherwise crop the centre.
        seed: seed of the random streams.
        read: a function from a row to its image (`uint8`, H×W×3); None reads the files of the
            table.
    """

    def __init__(
        self,
        table: pa.Table,
        augment: albumentations.Compose | None = None,
        geometry: Geometry = Geometry(),  # noqa: B008 (immutable)
        train: bool = False,
        seed: int = 0,
        read: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        self.table = table
        self.paths, self.labels = table["path"], table["label"].to_numpy()
        self.read = read or self._read_file
        self.augment = augment if augment is not None and augment.transforms else None
        self.geometry, self.train, self.seed = geometry, train, seed
        self.bit_generator = np.random.PCG64(0)  # its state is replaced for each image

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: SampleIndex) -> Sample:
        epoch, requested = index
        crop = self.geometry.crop
        sample = Sample(row=requested, label=0, image=None, padded=False, unreadable=[])
        # In training, the next readable image replaces an unreadable one: if the batch of one
        # rank were smaller or empty, the other ranks would wait for it.
        for step in range(min(MAX_SUBSTITUTES, len(self)) if self.train else 1):
            row = (requested + step) % len(self)
            try:
                image = self._load_resized(row)
            except Exception as error:  # a broken file can raise nearly anything
                sample["unreadable"].append((row, image_io.describe_error(error)))
                continue
            sample["row"], sample["image"] = row, self._augment(image, epoch, requested)
            sample["padded"] = crop is not None and min(image.shape[:2]) < crop
            break
        sample["label"] = int(self.labels[sample["row"]])
        return sample

    def _load_resized(self, row: int) -> np.ndarray:
        """Return the image of `row`, resized.

        Raises:
            UnreadableError: the image is too long to be degraded, or see `genspot.data.image_io`.
            Exception: whatever PIL raises.
        """
        image = image_io.resize(self.read(row), self.geometry.resize)
        if self.augment is not None and max(image.shape[:2]) > MAX_JPEG_SIDE:
            size = f"{image.shape[1]} × {image.shape[0]}"
            raise image_io.UnreadableError(
                f"{size} pixels: images with a side above {MAX_JPEG_SIDE} are not degraded"
            )
        return image

    def _read_file(self, row: int) -> np.ndarray:
        return image_io.read(self.paths[row].as_py())

    def _augment(self, image: np.ndarray, epoch: int, row: int) -> np.ndarray:
        """Return `image` augmented, cropped and flipped by the random stream of the sample."""
        rng = random.Random((self.seed << 96) | (epoch << 64) | row)
        if self.augment is not None:
            self.bit_generator.state = {
                "bit_generator": "PCG64",
                # Drawing a state takes a fifth of the time that hashing a seed into one takes.
                "state": {"state": rng.getrandbits(128), "inc": rng.getrandbits(127) * 2 + 1},
                "has_uint32": 0,
                "uinteger": 0,
            }
            self.augment.set_random_state(np.random.Generator(self.bit_generator), rng)
            image = self.augment(image=image)["image"]
        if self.geometry.crop is not None and not self.train:
            return image_io.centre_crop(image, self.geometry.crop)
        if self.geometry.crop is not None:
            image = image_io.random_crop(image, self.geometry.crop, rng)
        return image[:, ::-1] if self.train and rng.random() < 0.5 else image


def collate(samples: list[Sample]) -> dict[str, Any]:
    """Return a batch of the readable samples.

    Returns:
        image (`uint8`, N×H×W×3, or None if no sample is readable), label (int64, N), row
        (int64, N), padded (bool, N), and unreadable: (row, reason) pairs.
    """
    readable = [sample for sample in samples if sample["image"] is not None]
    arrays = [sample["image"] for sample in readable]
    return {
        "image": torch.from_numpy(np.stack(arrays)) if arrays else None,  # type: ignore[arg-type]
        "label": torch.tensor([sample["label"] for sample in readable], dtype=torch.int64),
        "row": torch.tensor([sample["row"] for sample in readable], dtype=torch.int64),
        "padded": torch.tensor([sample["padded"] for sample in readable], dtype=torch.bool),
        "unreadable": [pair for sample in samples for pair in sample["unreadable"]],
    }
