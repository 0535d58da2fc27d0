"""The Python API: a checkpoint as an object that scores images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image

from genspot.augment.degradations import parse_protocol
from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.photo_reading import PhotoReading
from genspot.data.settings import MAX_MEGAPIXELS
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.dry_run import check_trained_network
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork, build_network, fuse_batchnorm
from genspot.detector.patches import PatchBackbone
from genspot.detector.precision import exact_float32
from genspot.evaluation.calibration import probabilities
from genspot.tasks.weights_by_name import default_folder, load_named_checkpoint

BATCH_SIZE = 64

ImageInput = str | Path | Image.Image | np.ndarray


@dataclass(frozen=True)
class Predictions:
    """Scores of N images, in the order in which the images were given.

    Attributes:
        logits: float32, N; above 0 means fake.
        probabilities: float64, N, in [0, 1]: sigmoid of the logits, not calibrated.
        padded: bool, N; whether an image was smaller than the crop, and its score unreliable.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    padded: np.ndarray


@dataclass(frozen=True)
class PatchLogits:
    """The logits of an image's patches.

    The patch of row i and column j begins at row `stride` × i and column `stride` × j of the image
    as the network gets it, resized and cropped.

    Attributes:
        logits: float32, h×w; above 0 means fake. Their mean is the logit of the image.
        size: side of a patch in pixels.
        stride: distance of neighbouring patches in pixels.
    """

    logits: np.ndarray
    size: int
    stride: int


class LoadedDetector:
    """A detector that is ready to score images. `load_detector` makes one.

    Attributes:
        metadata: what it was trained on, and its model.
        geometry: how images are resized and cropped.
    """

    def __init__(
        self,
        network: DetectorNetwork,
        metadata: Metadata,
        geometry: Geometry,
        device: str,
        max_megapixels: int = MAX_MEGAPIXELS,
    ) -> None:
        self.metadata, self.geometry = metadata, geometry
        self._reading = PhotoReading(
            geometry, parse_protocol(metadata.protocol), max_megapixels=max_megapixels
        )
        self._device = torch.device(device)
        self._network = fuse_batchnorm(network).to(self._device)

    def predict(self, images: ImageInput | Sequence[ImageInput]) -> Predictions:
        """Return the scores of `images`, equal to those of `task=predict`.

        Args:
            images: one or several: paths, PIL images, or `uint8` RGB arrays H×W×3.

        Raises:
            GenspotError: an image cannot be read, or an array has another type or shape, or
                a logit is not finite.
        """
        if isinstance(images, str | Path | Image.Image | np.ndarray):
            images = [images]
        exact_float32()
        logits: list[float] = []
        padded: list[bool] = []
        for batch in self._batches(images):
            crops, flags = zip(*batch, strict=True)
            with torch.inference_mode():
                scores = self._network(torch.from_numpy(np.stack(crops)).to(self._device))
            logits += scores.tolist()
            padded += flags
        scores32 = np.asarray(logits, dtype=np.float32)
        if others := np.flatnonzero(~np.isfinite(scores32)).tolist():
            raise GenspotError(
                f"the logits of {len(others)} of {len(scores32)} images are not finite numbers: "
                f"images[{others[0]}] is the first; try another checkpoint, or leave these out"
            )
        return Predictions(scores32, probabilities(scores32), np.asarray(padded, dtype=bool))

    def patch_logits(self, image: ImageInput) -> PatchLogits:
        """Return the logits of the patches of `image`, for a map of where it looks generated.

        Args:
            image: as of `predict`.

        Raises:
            GenspotError: the detector does not score patches, or the image cannot be read.
        """
        exact_float32()
        pixels, _ = self._prepare(image)
        with torch.inference_mode():
            logits = self._network.patch_logits(torch.from_numpy(pixels)[None].to(self._device))
        backbone = cast(PatchBackbone, self._network.backbone)
        return PatchLogits(logits[0].cpu().numpy(), backbone.patch_size, backbone.patch_stride)

    def _batches(self, images: Sequence[ImageInput]) -> Iterator[list[tuple[np.ndarray, bool]]]:
        """Yield (pixels, padded) pairs: batches of one size, or single images where sizes vary."""
        size = BATCH_SIZE if self.geometry.fixed_size else 1
        for start in range(0, len(images), size):
            yield [self._prepare(image) for image in images[start : start + size]]

    def _prepare(self, image: ImageInput) -> tuple[np.ndarray, bool]:
        pixels = _as_array(image, self._reading.max_megapixels)
        try:
            pixels, padded = self._reading.prepare(pixels)
        except image_io.UnreadableError as error:
            raise GenspotError(str(error)) from error
        return np.ascontiguousarray(pixels), padded


def load_detector(
    checkpoint: str | Path,
    crop: int | str | None = None,
    device: str = "cpu",
    max_megapixels: int = MAX_MEGAPIXELS,
) -> LoadedDetector:
    """Return the detector in a checkpoint: genspot's own, a published .pth, or a state dict.

    Images are changed by the protocol of its training, if it had one.

    Args:
        checkpoint: path of the file, embedded, published/NAME or hub/OWNER/NAME; these two are
            downloaded where they are not there yet. Nothing in it is executed.
        crop: side of the crop in pixels, "none" for whole images; None as the model says.
        device: of PyTorch, such as "cpu" or "cuda".
        max_megapixels: larger image files are refused.

    Raises:
        GenspotError: it is no checkpoint of a detector, or needs a config of its author's; or
            PyTorch has no such device here.

    Example:
        >>> detector = load_detector("runs/quickstart/best.ckpt")  # doctest: +SKIP
        >>> detector.predict(["photo.jpg"]).probabilities  # doctest: +SKIP
        array([0.034])
    """
    try:
        torch.ones(1, device=torch.device(device)).item()
    except (RuntimeError, TypeError, AssertionError) as error:  # of PyTorch, in several lines
        raise GenspotError(
            f"device={device!r} cannot be used here: give cpu, or cuda where there is one"
        ) from error
    loaded = load_named_checkpoint(checkpoint, default_folder())
    return make_loaded_detector(loaded, crop, device, max_megapixels)


def make_loaded_detector(
    checkpoint: Checkpoint, crop: int | str | None, device: str, max_megapixels: int
) -> LoadedDetector:
    """Return the detector of a checkpoint that is read already; see `load_detector`."""
    model = checkpoint.metadata.model.without_initial_weights()
    geometry = model.test.with_crop(crop)
    with checkpoint.named():
        network = build_network(model)
        checkpoint.load_into(network, model.name)
        check_trained_network(network, model, geometry)
    return LoadedDetector(network, checkpoint.metadata, geometry, device, max_megapixels)


def _as_array(image: ImageInput, max_megapixels: int) -> np.ndarray:
    """Return `uint8` pixels H×W×3."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
            raise GenspotError(
                f"an array of {image.dtype} and shape {image.shape}: give uint8 of H×W×3 (RGB)"
            )
        return image
    try:
        if isinstance(image, Image.Image):
            return image_io.to_rgb(image)
        return image_io.read(str(image), max_megapixels)
    except Exception as error:  # a damaged file can raise nearly anything
        raise GenspotError(f"{image}: {image_io.describe_error(error)}") from error
