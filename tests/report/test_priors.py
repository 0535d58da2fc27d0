"""What readers are told of probabilities at a prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss

from genspot.evaluation.platt import Platt
from genspot.evaluation.scaling import Scaling
from genspot.report.priors import left_out_note, prior_notes


def entry(loss: float | None) -> dict[str, Any]:
    after = None if loss is None else {"ece": 0.1, "brier": 0.2, "log_loss": loss}
    return {"after": after, "fault": "it has failed" if loss is None else None}


def left_out(*losses: float | None) -> Any:
    means = None if None in losses else {"ece": 0.123, "brier": 0.2345, "log_loss": 0.6789}
    generators = {name: entry(loss) for name, loss in zip("ab", losses, strict=True)}
    return {"generators": generators, "mean": {"after": means}}


def test_left_out_note_compares_with_the_share_of_fakes_alone() -> None:
    shares = {"a": 0.5, "b": 0.25}
    line = left_out_note(left_out(0.69, 0.57), shares)
    assert "an ECE of 12.3%, a Brier score of 0.234 and a log loss of 0.679." in line
    labels, constant = [0, 1, 0, 0, 0, 1], [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    losses = [log_loss(labels[:2], constant[:2]), log_loss(labels[2:], constant[2:])]
    brier = np.mean([0.25, 3 / 4 * 0.25**2 + 1 / 4 * 0.75**2])
    assert f"has 0.0%, {brier:.3f} and {np.mean(losses):.3f}; " in line
    assert line.endswith("on 1 of 2.")  # 0.69 < 0.693, and 0.57 > 0.562
    assert losses[1] < 0.57


def test_left_out_note_of_a_failed_fit_names_the_generator() -> None:
    line = left_out_note(left_out(0.69, None), {"a": 0.5, "b": 0.5})
    assert "is not known: there is no fit without b." in line


def test_prior_notes_say_what_the_probability_is_of_and_what_it_rests_on() -> None:
    shares = {"a": 0.5, "b": 0.5}
    scaling = Scaling(Path("run/metrics.json"), Platt(1, 0, 30, 50), left_out(0.5, 0.5), shares)
    first, second = prior_notes({"one": scaling}, 0.1)
    assert "With prior=0.1," in first and "if 10% of such photos are" in first
    start = "Platt's scaling on 30 real and 50 generated images of a and b (run/metrics.json). "
    assert second == start + left_out_note(scaling.left_out, shares)
    lines = prior_notes({"one": scaling, "two": scaling}, 0.1)
    assert [line[:5] for line in lines[1:]] == ["one: ", "two: "]
