"""The images that an exported detector is compared on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from omegaconf import DictConfig

from genspot.augment.degradations import parse_protocol
from genspot.common.errors import GenspotError
from genspot.common.text import printable
from genspot.data import image_io
from genspot.data.datamodule import ImageDataModule
from genspot.data.inputs import list_inputs
from genspot.data.photo_reading import PhotoReading
from genspot.data.simulated import photographs
from genspot.detector.metadata import Metadata
from genspot.tasks.components import make_datamodule
from genspot.tasks.schema import plain

log = logging.getLogger(__name__)

COUNT = 200  # images that logits are compared on
SIDE = 256  # pixels; of the windows for a network without a crop
SETTING = "format=onnx_int8"


def parity_images(cfg: DictConfig, metadata: Metadata) -> list[np.ndarray]:
    """Return the images that logits are compared on, `uint8` 3×H×W of several sizes.

    They are `inputs`, the first `COUNT`, or else windows of the packaged photographs. They are
    changed and resized as those of a prediction, and not cropped: a graph crops itself.

    Raises:
        GenspotError: `inputs` holds no image that can be read.
    """
    geometry = metadata.model.test
    reading = PhotoReading(geometry, parse_protocol(metadata.protocol), cfg.max_megapixels)
    sources = _given(cfg) if plain(cfg, "inputs") is not None else _windows(geometry.crop or SIDE)
    found = []
    for image in sources:
        pixels = reading.resize(reading.change(image))
        found.append(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        if len(found) == COUNT:
            break
    if not found:
        raise GenspotError("inputs holds no image that can be read; give others, or leave it out")
    return found


def _given(cfg: DictConfig) -> Iterator[np.ndarray]:
    """Yield the images of the setting `inputs` that can be read, and name the first others."""
    faults = []
    given = plain(cfg, "inputs")
    for path in list_inputs(given).table["path"].to_pylist():
        try:
            yield image_io.read(path, cfg.max_megapixels)
        except Exception as error:  # a damaged file can raise nearly anything
            faults.append(path)
            reason = image_io.describe_error(error)
            log.warning("not compared, unreadable: %s (%s)", printable(path), reason)


def _windows(side: int) -> Iterator[np.ndarray]:
    """Yield windows of the packaged photographs, the same each time.

    Their sides are between half and one and a half of `side`, so that some are padded to it.
    """
    rng = np.random.default_rng(0)
    images = [*photographs.load("train").values(), *photographs.load("val").values()]
    for number in range(COUNT):
        photo = np.asarray(images[number % len(images)])
        given = rng.integers(max(1, side // 2), side + side // 2 + 1, 2)
        height, width = np.minimum(given, photo.shape[:2]).tolist()
        top, left = rng.integers(0, [photo.shape[0] - height + 1, photo.shape[1] - width + 1])
        yield photo[top : top + height, left : left + width]


def labelled_data(cfg: DictConfig, metadata: Metadata) -> ImageDataModule:
    """Return the images of the chosen test sets, on which 8 bits are measured.

    Raises:
        GenspotError: no test set is chosen, or one is not there.
    """
    datamodule = make_datamodule(cfg, metadata.model, "none", True, own_protocol=metadata.protocol)
    if not datamodule.test_sets:
        raise GenspotError(
            f"{SETTING} measures what 8 bits cost: name test sets, generator=[…] or "
            "test_sets={NAME: PATH}"
        )
    datamodule.setup("test")
    return datamodule


def labelled_batches(
    datamodule: ImageDataModule,
) -> Iterator[tuple[list[str], list[int], np.ndarray]]:
    """Yield test sets, labels and images of `labelled_data`, `uint8` N×3×H×W.

    Unreadable images are counted and left out.
    """
    sets, unreadable = datamodule.tables["test"]["generator"], 0
    for batch in datamodule.test_dataloader():
        unreadable += len(batch["unreadable"])
        if batch["image"] is not None:
            names = [sets[row].as_py() for row in batch["row"].tolist()]
            images = batch["image"].permute(0, 3, 1, 2).contiguous().numpy()
            yield names, batch["label"].tolist(), images
    if unreadable:
        log.warning("%s: %d of the test images cannot be read", SETTING, unreadable)
