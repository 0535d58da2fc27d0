"""What the detector does on a photo of one's own, judged by its errors in the test."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from genspot.common.protocols import FAKES
from genspot.report import protocols
from genspot.report.prediction_lines import LIMITS
from genspot.report.predictions import UNDECIDED, VERDICTS, verdict_counts
from genspot.report.runs import Run
from genspot.report.sections.words import Table


def command(run: Run) -> str:
    """Return the command that scores a photo with the checkpoint and the crop of `run`."""
    path = run.metrics["checkpoint"]
    plain = re.fullmatch(r"[A-Za-z0-9_/.-]+", path)
    parts = ["python run.py task=predict", f"checkpoint={path if plain else 'PATH'}"]
    model = run.metrics["trained_on"]["model"]
    if run.settings.get("allow_mismatch") is True:
        parts.append(f"model={model['name']} allow_mismatch=true")
    if run.metrics["crop"] != (model.get("test") or {}).get("crop"):
        parts.append(f"crop={run.metrics['crop'] or 'none'}")
    protocol = protocols.protocol_of(run.metrics)
    alone = protocol.startswith(f"{FAKES}_")  # nobody knows whether a photo is fake
    if protocol != protocols.protocol_of_training(run.metrics) and not alone:
        parts.append(f"protocol={protocol}")
    return " ".join([*parts, "inputs=photo.jpg"])


# What a detector of simulated generators is not for.
SIMULATED = (
    "This detector learnt simulated generators alone. Nothing here says that it finds the fakes "
    "of real ones: do not judge a photo by it."
)


def own_photo(run: Run) -> list[str]:
    """Return what the answer means, with the errors in this test."""
    certain = 1 / (1 + np.exp(-UNDECIDED))
    texts = [
        f"It prints a probability and a verdict: “{VERDICTS[0]}” from {certain:.2f} on, "
        f"“{VERDICTS[2]}” up to {1 - certain:.2f}, “{VERDICTS[1]}” between them. {LIMITS}"
    ]
    trained_on = [run.generator_settings.get(name, {}) for name in run.training_generators]
    if trained_on and all(str(one.get("kind")).startswith("simulated") for one in trained_on):
        texts.append(SIMULATED)
    errors = []
    reals = distinct_reals(run)
    if len(reals):
        errors.append(
            f"False alarms: {int((reals > 0).sum())} of the {len(reals)} real test images have a "
            "probability above 0.5."
        )
    missed = {
        name: (int((fakes <= 0).sum()), len(fakes))
        for name in run.images
        if len(fakes := _logits(run, name, 1))
    }
    if missed:
        name = max(missed, key=lambda name: missed[name][0] / missed[name][1])
        count, total = missed[name]
        most = ", the largest share of all" if len(missed) > 1 else ""
        errors.append(
            f"Misses: {count} of the {total} fakes of {name} have a probability of at most 0.5"
            f"{most}."
        )
    if errors and protocols.is_changed(run.metrics):
        protocol = protocols.protocol_of(run.metrics)
        errors.append(f"With protocol={protocol}, {protocols.change(run.metrics)}")
    elif errors and (degradations := run.metrics["degradations"]):
        errors.append(f"These images were degraded by {' then '.join(degradations)}.")
    elif errors:
        errors.append(
            "These images were scored as they are. A copy that was saved as JPEG again, reduced "
            "or taken as a screenshot can score differently: adding degradations=jpeg_75 or "
            "degradations=resize_0.5 to a test measures by how much. Give the photo as it was "
            "first saved."
        )
    return [*texts, " ".join(errors)] if errors else texts


def verdicts(run: Run, order: Sequence[str]) -> Table:
    """Return how many test images would have got each verdict, and a probability above 0.5."""
    sets = [("real images", distinct_reals(run))]
    sets += [(f"fakes of {name}", _logits(run, name, 1)) for name in order]
    rows = []
    for name, logits in sets:
        if total := len(logits):
            above = int((logits > 0).sum())
            cells = [*map(str, verdict_counts(logits)), f"{above} ({100 * above / total:.1f}%)"]
            rows.append([name, str(total), *cells])
    caption = "What the detector says of the test images."
    return Table(caption, ["images", "number", *VERDICTS, "above 0.5"], rows)


def distinct_reals(run: Run) -> np.ndarray:
    """Return the logits of the real images; those that generators share count once.

    Generators of one real set share the largest of their sets. Those with as many images of other
    logits have the same photographs in another form.
    """
    kept: dict[str, list[np.ndarray]] = {}
    for name in sorted(run.images, key=lambda name: -len(_logits(run, name, 0))):
        shared = run.real_sets.get(name)
        logits = np.sort(_logits(run, name, 0))
        found = kept.setdefault(f"set {shared}" if shared else f"generator {name}", [])
        if not any(_is_same(logits, other) for other in found):
            found.append(logits)
    return np.concatenate([np.empty(0), *(logits for sets in kept.values() for logits in sets)])


def _is_same(logits: np.ndarray, other: np.ndarray) -> bool:
    """Return whether sorted logits are of the same images, or of fewer of them."""
    return len(logits) < len(other) or np.allclose(logits, other, atol=1e-3)


def _logits(run: Run, generator: str, label: int) -> np.ndarray:
    images = run.images[generator]
    return images.logits[images.labels == label]
