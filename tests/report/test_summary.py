from __future__ import annotations

import pytest

from genspot.report.summary import ap_accuracy_gap_note, headline
from helpers.report_runs import COMPLETE, GENERATORS, make_run, percent


def test_headline_of_one_run_names_the_mean_the_best_and_the_worst(single) -> None:
    (run,) = single.runs
    ap = {name: run.results[name]["ap"] for name in COMPLETE}
    best, worst = max(ap, key=ap.__getitem__), min(ap, key=ap.__getitem__)
    text = headline([run])
    assert text.startswith(f"Mean AP {percent(run.metrics['mean']['ap'])}% (95% interval ")
    assert f"highest on {best} ({percent(ap[best])})" in text
    assert f"lowest on {worst} ({percent(ap[worst])})" in text


def test_headline_of_runs_on_other_generators_does_not_rank_them(tmp_path) -> None:
    runs = [make_run(tmp_path / str(count), generators=GENERATORS[:count]) for count in (1, 2)]
    assert headline(runs).endswith("their means are not comparable.")


@pytest.mark.parametrize(("acc_real", "reason"), [(0.9, "too low"), (0.2, "too high")])
def test_gap_note_names_the_generator_and_the_reason(acc_real, reason, tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("first", "second"))
    for figures in run.metrics["generators"].values():
        figures |= {"acc": 0.6, "acc_oracle": 0.62, "acc_real": acc_real, "acc_fake": 0.3}
    assert ap_accuracy_gap_note(run) is None
    run.metrics["generators"]["second"]["acc_oracle"] = 0.95
    note = ap_accuracy_gap_note(run)
    assert f"on second (60.0 instead of 95.0): probabilities are {reason}" in note
