from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genspot.report.predictions import VERDICTS, verdict
from genspot.report.runs import Run
from genspot.report.sections.own_photo import (
    SIMULATED,
    command,
    distinct_reals,
    own_photo,
    verdicts,
)
from helpers.report_runs import COMPLETE, make_run


def model(crop: int | None) -> dict[str, object]:
    return {"model": {"name": "resnet18", "test": {"crop": crop}}}


def logits(run: Run, name: str, label: int) -> np.ndarray:
    return run.images[name].logits[run.images[name].labels == label]


@pytest.mark.parametrize(
    ("about", "config", "expected"),
    [
        ({"crop": 64}, "", "checkpoint=runs/a/best.ckpt inputs=photo.jpg"),
        ({"crop": 32}, "", "checkpoint=runs/a/best.ckpt crop=32 inputs=photo.jpg"),
        ({"crop": None}, "", "checkpoint=runs/a/best.ckpt crop=none inputs=photo.jpg"),
        (
            {"crop": 64, "protocol": "matched_jpeg_96"},
            "",
            "checkpoint=runs/a/best.ckpt protocol=matched_jpeg_96 inputs=photo.jpg",
        ),
        # Nobody knows whether the photo is a fake.
        (
            {"crop": 64, "protocol": "fakes_jpeg_96"},
            "",
            "checkpoint=runs/a/best.ckpt inputs=photo.jpg",
        ),
        (
            {"crop": 64, "checkpoint": "it's here.pth"},
            "allow_mismatch: true",
            "checkpoint=PATH model=resnet18 allow_mismatch=true inputs=photo.jpg",
        ),
    ],
)
def test_command_names_the_checkpoint_and_how_it_was_tested(
    about, config: str, expected: str, tmp_path: Path
) -> None:
    about = {"checkpoint": "runs/a/best.ckpt", "trained_on": model(64), **about}
    run = replace(make_run(tmp_path / "run", generators=("empty",), **about), config=config)
    assert command(run) == f"python run.py task=predict {expected}"


def test_own_photo_has_the_errors_of_the_test(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    reals = np.concatenate([logits(run, name, 0) for name in COMPLETE])
    text = " ".join(own_photo(run))
    assert "“looks generated” from 0.73 on, “no traces found” up to 0.27" in text
    assert f"False alarms: {(reals > 0).sum()} of the 120 real test images have" in text
    missed = {name: (logits(run, name, 1) <= 0).sum() for name in (*COMPLETE, "only_fakes")}
    worst = max(missed, key=missed.__getitem__)
    assert f"Misses: {missed[worst]} of the 30 fakes of {worst} have " in text
    assert "at most 0.5, the largest share of all." in text
    assert "scored as they are" in text
    degraded = replace(run, metrics={**run.metrics, "degradations": ["jpeg_50"]})
    text = " ".join(own_photo(degraded))
    assert "degraded by jpeg_50." in text and "scored as they are" not in text


def test_own_photo_leaves_out_classes_without_images(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes",))
    text = " ".join(own_photo(run))
    assert "Misses" in text and "False alarms" not in text and "share of all" not in text
    run = make_run(tmp_path / "run", generators=("empty",))
    text = " ".join(own_photo(run))
    assert "Misses" not in text and "False alarms" not in text
    assert verdicts(run, []).rows == []


def test_verdicts_count_what_a_prediction_would_say(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("first", "second"))
    table = verdicts(run, ["second", "first"])
    names = [row[0] for row in table.rows]
    assert names == ["real images", "fakes of second", "fakes of first"]
    for row, values in zip(
        table.rows[1:], (logits(run, "second", 1), logits(run, "first", 1)), strict=True
    ):
        said = [verdict(value) for value in values]
        assert row[2:5] == [str(said.count(name)) for name in VERDICTS]
        assert row[5] == f"{(values > 0).sum()} ({100 * (values > 0).mean():.1f}%)"


def with_equal_logits(run: Run, generator: str, other: str) -> Run:
    """Return `run` with the logits of `generator` those of `other`."""
    names, values = np.array(run.scores["generator"].to_pylist()), run.scores["logit"].to_numpy()
    values = values.copy()
    values[names == generator] = values[names == other]
    column = run.scores.column_names.index("logit")
    return replace(run, scores=run.scores.set_column(column, "logit", [values]))


def test_shared_real_images_count_once_and_other_forms_of_them_by_themselves(
    tmp_path: Path,
) -> None:
    names, sets = ("first", "second", "third"), {"first": "same", "second": "same"}
    run = make_run(tmp_path / "run", generators=names, real_sets=sets)
    counts = {name: len(logits(run, name, 0)) for name in names}
    assert counts["first"] == counts["second"]
    assert len(distinct_reals(run)) == sum(counts.values())
    shared = distinct_reals(with_equal_logits(run, "second", "first"))
    expected = [*logits(run, "first", 0), *logits(run, "third", 0)]
    assert sorted(shared) == sorted(expected)


@pytest.mark.parametrize(("kind", "warned"), [("simulated, autoencoder", True), ("GAN", False)])
def test_own_photo_warns_of_a_detector_of_simulated_generators(
    tmp_path: Path, kind: str, warned: bool
) -> None:
    run = make_run(tmp_path / "run")
    run = replace(run, config=f"data: {{generator: a}}\ngenerator: {{a: {{kind: '{kind}'}}}}")
    assert (SIMULATED in own_photo(run)) == warned
