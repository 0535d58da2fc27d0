"""The mean spectra in the folder of a run and their peaks; `genspot.data.spectra` writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genspot.common.files import read_json
from genspot.report.gallery import data_uri
from genspot.report.runs import Run
from genspot.report.sections.words import Table, listing

KINDS = ("real", "fake")
MIN_PEAK = 1.2  # height of a peak of the fakes, relative to that of the reals, to be called one
MIN_ERRORS = 3  # standard errors above the reals, to be called one
# Factor → standard error of the logarithm of a peak's height in the spectrum of one image, if its
# Fourier transform is Gaussian noise: that of one frequency, π/√24 (π/√8 at the three of factor 2,
# where the transform is real), divided by the root of the number of independent frequencies.
ERRORS = {"2": math.pi / math.sqrt(8 * 3), "4": math.pi / math.sqrt(24 * 6)}
ERRORS["8"] = math.pi / math.sqrt(24 * 24)
MAX_WEAK = 0.8  # high frequencies of the fakes, relative to those of the reals, to be called weak
MIN_IMAGES = 20  # of each kind, for words on spectra: those of fewer images are too noisy


class Strengths(NamedTuple):
    """What is measured in the spectra of the real and the fake images of one generator."""

    images: Mapping[str, int]  # number of each kind
    peaks: Mapping[str, tuple[float, float]]  # upsampling factor → height of reals, of fakes
    high: float  # magnitude of the fakes at high frequencies, divided by that of the reals

    @property
    def factors(self) -> list[str]:
        """The factors at which the fakes have peaks and the reals have not."""
        root = math.sqrt(sum(1 / count for count in self.images.values()))
        return [
            key
            for key, (real, fake) in self.peaks.items()
            if math.log(fake / real) >= max(math.log(MIN_PEAK), MIN_ERRORS * ERRORS[key] * root)
        ]


def spectra(run: Run) -> list[tuple[str, str, str]]:
    """Return generator, class and data: URI of each spectrum in the folder of `run`."""
    return [
        (generator, kind, data_uri(file.read_bytes(), "png"))
        for generator in run.metrics["generators"]
        for kind in KINDS
        if (file := run.folder / "spectra" / f"{generator}_{kind}.png").is_file()
    ]


def strengths(run: Run, order: Sequence[str]) -> dict[str, Strengths]:
    """Return generator → what is measured, where both kinds have `MIN_IMAGES` spectra or more.

    The generators are in the given order.
    """
    file = run.folder / "spectra" / "spectra.json"
    content: dict[str, Any] = read_json(file) if file.is_file() else {}
    ratios, found = content.get("high_frequencies", {}), {}  # older files have none
    for name in (name for name in order if name in ratios):
        images, peaks = content["images"][name], content["peaks"][name]
        if min(images.values()) >= MIN_IMAGES:
            pairs = {key: (peaks["real"][key], peaks["fake"][key]) for key in peaks["real"]}
            found[name] = Strengths(images, pairs, ratios[name])
    return found


def reading(run: Run) -> list[str]:
    """Return how to read the spectra; nothing without any."""
    shown = [(name, kind) for name, kind, _ in spectra(run)]
    kinds = {kind for _, kind in shown}
    if not kinds:
        return []
    texts = [
        "A spectrum shows how strong each frequency is, here in the images minus their 5 × 5 "
        "median. The centre is frequency zero; the edges are 1/2 cycle per pixel, patterns that "
        "change from pixel to pixel; brighter is stronger."
    ]
    if len(shown) > len({name for name, _ in shown}):  # one has both
        texts[0] += " Both spectra of a generator have the same scale."
    if "fake" in kinds:
        texts.append(
            "Many generators enlarge a small image by doubling its size several times. A doubling "
            "repeats the spectrum, which leaves copies of its bright centre or a grid of dots: at "
            "multiples of 1/2 cycle per pixel, and of 1/4 and 1/8 after two and three doublings. "
            "Where a layer smooths the enlarged image, these and its fine detail vanish, and the "
            "spectrum darkens towards the edges. JPEG leaves dots at multiples of 1/8, in real "
            "images as well."
        )
    return texts


def findings(measured: Mapping[str, Strengths]) -> list[str]:
    """Return whose fakes have peaks, and whose lack high frequencies."""
    texts = []
    measurable = [name for name, one in measured.items() if one.peaks]
    peaked = [name for name in measurable if measured[name].factors]
    if peaked:
        places = (
            f"{name} (at {listing(f'1/{factor}' for factor in measured[name].factors)})"
            for name in peaked
        )
        texts.append(f"Fakes have peaks that the real images lack: {listing(places)}.")
    if without := [name for name in measurable if name not in peaked]:
        texts.append(f"No such peaks are measured in the fakes of {listing(without)}.")
    if weak := [name for name, one in measured.items() if one.high < MAX_WEAK]:
        parts = (f"{name} ({measured[name].high:.2f} times)" for name in weak)
        texts.append(
            "High frequencies, from 1/4 cycle per pixel on, are weaker in the fakes than in the "
            f"real images: {listing(parts)}."
        )
    return texts


def strength_table(measured: Mapping[str, Strengths]) -> Table | None:
    """Return the heights of the peaks, and the strength of high frequencies."""
    if not measured:
        return None
    factors: list[str] = []
    rows = []
    for name, one in measured.items():
        factors = list(one.peaks)  # the same for all: their spectra are of one size
        cells = [f"{fake:.2f} ({real:.2f})" for real, fake in one.peaks.values()]
        counts = f"{one.images['real']} + {one.images['fake']}"
        rows.append([name, counts, *cells, f"{one.high:.2f}"])
    parts = []
    if factors:
        places = listing(f"1/{factor}" for factor in factors)
        parts.append(
            f"Magnitude at multiples of {places} cycle per pixel, divided by that of the "
            "frequencies around them (1: no peak), of fake (real) images."
        )
    parts.append(
        "High frequencies: the magnitude of the fakes from 1/4 cycle per pixel on, divided by "
        "that of the real images."
    )
    heading = ["generator", "images (real + fake)", *(f"at 1/{key}" for key in factors)]
    return Table(" ".join(parts), [*heading, "high frequencies"], rows)
