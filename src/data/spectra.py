"""The mean spectrum of a set of images, in which upsampling appears as a grid of dots.

After Wang et al. (CVPR 2020, figure 6): a grey image minus its 5×5 median, the Fourier transform,
the logarithm of its magnitude, and the mean over images. The order is that of their author, who
takes the logarithm before the mean, so that no image with strong edges outweighs the others.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image
from tqdm import tqdm

from genspot.common.files import write_json
from genspot.data import image_io
from genspot.data.label_folders import LABELS
from genspot.data.settings import MAX_MEGAPIXELS

log = logging.getLogger(__name__)

PEAK_FACTORS = (2, 4, 8)  # of upsampling: one, two and three doublings
PEAK_WINDOW = 5  # pixels a side: what a peak is compared with
HIGH_FREQUENCY = 0.25  # cycles per pixel, from which on frequencies count as high


def spectrum(image: np.ndarray) -> np.ndarray:
    """Return the log magnitude of `image` (`uint8`, H×W×3) minus its 5×5 median.

    Returns:
        float64, H×W, with the zero frequency in the centre.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    residual = grey.astype(np.float64) - cv2.medianBlur(grey, 5)
    return np.fft.fftshift(np.log(np.abs(np.fft.fft2(residual)) + 1e-8))


def mean_spectrum(
    paths: list[str], side: int, max_megapixels: int = MAX_MEGAPIXELS
) -> tuple[np.ndarray | None, int]:
    """Return the mean spectrum of central `side` × `side` crops, and the number of images in it.

    Smaller images are left out, since padding would add a pattern of its own. So are unreadable
    ones, among them those of more than `max_megapixels`.
    """
    total, count = np.zeros((side, side)), 0
    for path in paths:
        try:
            image = image_io.read(path, max_megapixels)
        except Exception:  # the evaluation reports unreadable images
            continue
        if min(image.shape[:2]) >= side:
            total += spectrum(image_io.centre_crop(image, side))
            count += 1
    return (total / count if count else None), count


def peaks(mean: np.ndarray) -> dict[str, float]:
    """Return how much stronger a mean spectrum is at the frequencies of upsampling than around.

    Upsampling by a factor F leaves peaks at the multiples of 1/F cycles per pixel.

    Args:
        mean: the mean log magnitude, N×N, with the zero frequency in the centre.

    Returns:
        F → the geometric mean, over the frequencies whose two coordinates are multiples of 1/F and
        not both of 2/F, of the magnitude divided by the median of its neighbourhood: about 1
        without a peak. A factor is left out where it does not divide N, or N is too small.
    """
    from scipy.ndimage import median_filter  # slow

    side = len(mean)
    height = mean - median_filter(mean, PEAK_WINDOW, mode="wrap")
    if side % 2 == 0:
        # Of a real image these three coefficients are real numbers, not complex ones. Of Gaussian
        # noise, the mean logarithm of their magnitude is lower by ln(2) / 2.
        height[[0, 0, side // 2], [0, side // 2, 0]] += np.log(2) / 2
    index = np.arange(side) - side // 2
    seen = np.outer(index == 0, index == 0)
    found = {}
    for factor in PEAK_FACTORS:
        if side % factor or side // factor <= PEAK_WINDOW:
            continue
        multiple = index % (side // factor) == 0
        chosen = np.outer(multiple, multiple) & ~seen
        found[str(factor)] = float(np.exp(height[chosen].mean()))
        seen |= chosen
    return found


def high_frequencies(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the magnitude of the fakes divided by that of the reals at high frequencies.

    It is the geometric mean where a coordinate is at least `HIGH_FREQUENCY`; the arguments are
    mean log magnitudes, N×N, with the zero frequency in the centre.
    """
    frequency = np.abs(np.fft.fftshift(np.fft.fftfreq(len(real))))
    high = np.maximum.outer(frequency, frequency) >= HIGH_FREQUENCY
    return float(np.exp((fake - real)[high].mean()))


def write_spectra(
    table: pa.Table,
    folder: Path,
    side: int,
    limit: int,
    seed: int,
    max_megapixels: int = MAX_MEGAPIXELS,
) -> None:
    """Write the mean spectra of the real and of the fake images of each generator.

    Args:
        table: of samples.
        folder: gets GENERATOR_real.png and GENERATOR_fake.png (8-bit grey, brighter is stronger,
            the same scale for both) and spectra.json: the side, and by generator the number of
            images of each kind, `peaks` of each, and `high_frequencies` if there are both, of
            more than one pixel.
        side: of the central crop, in pixels.
        limit: number of images of each kind; they are drawn at random if there are more.
        seed: of that draw.
        max_megapixels: larger images are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = table["generator"].cast(pa.string()).to_numpy(zero_copy_only=False)
    labels = table["label"].to_numpy()
    counts: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, dict[str, float]]] = {}
    ratios: dict[str, float] = {}
    for name in tqdm(list(dict.fromkeys(names)), desc="spectra", unit="generator"):
        means = {}
        for label_name, label in LABELS.items():
            rows = np.flatnonzero((names == name) & (labels == label))
            drawn = np.sort(np.random.default_rng((seed, label)).permutation(rows)[:limit])
            kind = label_name.partition("_")[2]
            paths = table["path"].take(drawn).to_pylist()
            mean, count = mean_spectrum(paths, side, max_megapixels)
            counts.setdefault(name, {})[kind] = count
            if mean is not None:
                means[kind] = mean
        _write_images(means, folder, name)
        found[name] = {kind: peaks(mean) for kind, mean in means.items()}
        if len(means) == len(LABELS) and side > 1:
            ratios[name] = high_frequencies(**means)
    content = {"side": side, "images": counts, "peaks": found, "high_frequencies": ratios}
    write_json(content, folder / "spectra.json")


def _write_images(means: dict[str, np.ndarray], folder: Path, name: str) -> None:
    """Write spectra on one scale, from the 1st to the 99.9th percentile of their values."""
    if not means:
        log.warning("no spectra of %s: no image is large enough", name)
        return
    low, high = np.percentile(np.stack(list(means.values())), [1, 99.9])
    for kind, mean in means.items():
        scaled = (mean - low) / max(high - low, 1e-8)
        grey = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{name}_{kind}.png")
