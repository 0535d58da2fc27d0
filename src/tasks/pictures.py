"""The pictures of a page of photos."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from genspot.common.files import write_text
from genspot.data import image_io
from genspot.data.spectra import spectrum
from genspot.report.gallery import data_uri, small_jpeg
from genspot.report.verdict_page import MAX_SHOWN, PatchMap, Pictures, render_verdicts

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector

SIDE = 640  # pixels of the longer side of a small copy
SPECTRUM_SIDE = 512  # pixels of the photo's centre, at most
WINDOW = 128  # pixels a side of the windows whose spectra are averaged, and of the picture
MAX_MAP_SIDE = 512  # pixels; larger maps are scaled down
# Colours of a patch map: of a logit below 0, of 0 and above.
BLUE, WHITE, ORANGE = (np.array(one) for one in ((0, 90, 181), (255, 255, 255), (213, 94, 0)))
STRONGEST = 99.0  # percentile of the logits' sizes from which on colours are the strongest


def make_pictures(pixels: np.ndarray, detectors: Sequence[PhotoDetector]) -> Pictures:
    """Return the pictures of one photo.

    Args:
        pixels: of the photo, `uint8`, H×W×3.
        detectors: that scored it; those that score patches give a map each.
    """
    maps, seen = {}, {}
    for one in detectors:
        resized = one.reading.resize(one.reading.change(pixels))
        network_sees, _ = one.reading.fit(resized)
        if one.crop is not None:
            height, width = (min(1.0, one.crop / side) for side in resized.shape[:2])
            seen[one.name] = width, height
        if (patches := _patch_logits(one.network, network_sees)) is not None:
            maps[one.name] = draw_patches(patches)
    return Pictures(
        data_uri(small_jpeg(Image.fromarray(pixels), SIDE), "jpeg"),
        draw_spectrum(pixels),
        maps,
        seen,
    )


def read_pictures(
    paths: Sequence[str], detectors: Sequence[PhotoDetector], max_megapixels: int
) -> dict[str, Pictures]:
    """Return the pictures of the first `MAX_SHOWN` photos at `paths`; no unreadable one's."""
    found = {}
    for path in paths[:MAX_SHOWN]:
        try:
            found[path] = make_pictures(image_io.read(path, max_megapixels), detectors)
        except Exception:  # its answer says why it cannot be read
            continue
    return found


def write_page(
    document: dict[str, Any], detectors: Sequence[PhotoDetector], path: Path, max_megapixels: int
) -> None:
    """Write the page of the photos of a document of answers to `path`.

    Args:
        document: see `genspot.report.answers.make_document`.
        detectors: that scored the photos.
        path: of the page.
        max_megapixels: of a photo that is shown.
    """
    paths = [answer["photo"] for answer in document["photos"]]
    pictures = read_pictures(paths, detectors, max_megapixels)
    write_text(render_verdicts(document, pictures), path)


def draw_spectrum(pixels: np.ndarray) -> str:
    """Return the spectrum of a photo as a data: URI: the mean over windows of its centre.

    Args:
        pixels: `uint8`, H×W×3; "" is returned where a window does not fit in.
    """
    if min(pixels.shape[:2]) < WINDOW:
        return ""
    centre = image_io.centre_crop(pixels, min(SPECTRUM_SIDE, *pixels.shape[:2]))
    starts = range(0, len(centre) - WINDOW + 1, WINDOW // 2)
    windows = [centre[y : y + WINDOW, x : x + WINDOW] for y in starts for x in starts]
    values = np.mean([spectrum(one) for one in windows], axis=0)
    low, high = np.percentile(values, [1, 99.9])
    scaled = ((values - low) / max(high - low, 1e-8)).clip(0, 1)
    return _png(np.rint(255 * scaled).astype(np.uint8))


def draw_patches(logits: np.ndarray) -> PatchMap:
    """Return the picture of the logits of patches, h×w: orange above 0, blue below, white 0."""
    limit = max(float(np.percentile(np.abs(logits), STRONGEST)), 1e-6)
    share = (logits / limit).clip(-1, 1)[..., None]
    colour = np.where(share > 0, ORANGE, BLUE)
    image = Image.fromarray(np.rint(WHITE + np.abs(share) * (colour - WHITE)).astype(np.uint8))
    image.thumbnail((MAX_MAP_SIDE, MAX_MAP_SIDE), Image.Resampling.BOX)
    return PatchMap(_png(np.asarray(image)), limit)


def _patch_logits(network: Any, pixels: np.ndarray) -> np.ndarray | None:
    """Return the logits of the patches of an image, h×w; None if the network scores none.

    An exported one returns a photo's logit alone.
    """
    if not hasattr(getattr(network, "backbone", None), "patch_logits"):
        return None
    import torch  # not for an exported detector

    with torch.inference_mode():
        found: np.ndarray = network.patch_logits(torch.from_numpy(pixels[None]))[0].numpy()
    return found


def _png(image: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", optimize=True)
    return data_uri(content.getvalue(), "png")
