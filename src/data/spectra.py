"""The mean spectrum of a set of images, where upsampling shows as a grid of dots.

After Wang et al. (CVPR 2020): a grey image minus its 5×5 median, the Fourier transform, the
logarithm of its magnitude, the mean over images. The steps are their author's, who takes the mean
before the logarithm; the other way round no image with strong edges outweighs the others.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image
from tqdm import tqdm

from genspot.data import image_io as images
from genspot.data.layout import LABELS

log = logging.getLogger(__name__)


def spectrum(image: np.ndarray) -> np.ndarray:
    """Log magnitude of what is left of `image` (`uint8`, H×W×3) without its 5×5 median.

    Returns:
        float64, H×W, the zero frequency in the middle.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    rest = grey.astype(np.float64) - cv2.medianBlur(grey, 5)
    return np.fft.fftshift(np.log(np.abs(np.fft.fft2(rest)) + 1e-8))


def mean_spectrum(paths: list[str], side: int) -> tuple[np.ndarray | None, int]:
    """The mean spectrum of the middles (`side` × `side`) of images, and of how many.

    Images that are smaller or cannot be read are left out: padding would add a pattern of its own.
    """
    total, count = np.zeros((side, side)), 0
    for path in paths:
        try:
            image = images.read(path)
        except Exception:  # listed as unreadable by the evaluation
            continue
        if min(image.shape[:2]) >= side:
            total += spectrum(images.centre_crop(image, side))
            count += 1
    return (total / count if count else None), count


def write_spectra(table: pa.Table, folder: Path, side: int, limit: int, seed: int) -> None:
    """Draw the mean spectrum of reals and of fakes of each generator of `table`.

    Args:
        table: of samples.
        folder: gets GENERATOR_real.png and GENERATOR_fake.png (8-bit grey, brighter is stronger,
            the same scale for both) and spectra.json (how many images of each).
        side: of the middle that is looked at, in pixels.
        limit: images of each kind, drawn at random where there are more.
        seed: of that draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = table["generator"].cast(pa.string()).to_numpy(zero_copy_only=False)
    labels = table["label"].to_numpy()
    counts: dict[str, dict[str, int]] = {}
    for name in tqdm(list(dict.fromkeys(names)), desc="spectra", unit="generator"):
        means = {}
        for half, label in LABELS.items():
            rows = np.flatnonzero((names == name) & (labels == label))
            chosen = np.sort(np.random.default_rng((seed, label)).permutation(rows)[:limit])
            kind = half.partition("_")[2]
            mean, count = mean_spectrum(table["path"].take(chosen).to_pylist(), side)
            counts.setdefault(name, {})[kind] = count
            if mean is not None:
                means[kind] = mean
        _draw(means, folder, name)
    (folder / "spectra.json").write_text(json.dumps({"side": side, "images": counts}, indent=2))


def _draw(means: dict[str, np.ndarray], folder: Path, name: str) -> None:
    """Both spectra on one scale, from the 1st to the 99.9th percentile of their values."""
    if not means:
        log.warning("no spectra of %s: no image is large enough", name)
        return
    low, high = np.percentile(np.stack(list(means.values())), [1, 99.9])
    for kind, mean in means.items():
        scaled = (mean - low) / max(high - low, 1e-8)
        grey = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{name}_{kind}.png")
