from __future__ import annotations

import pytest

from genspot.report.runs import label_runs
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


def test_headline_names_the_share_called_fake_of_sets_of_one_class(tmp_path) -> None:
    names = ("first", "only_fakes", "only_reals")
    run = make_run(tmp_path / "run", generators=names)
    called = []
    for kind, rate, name in (("real images", "fpr", names[2]), ("fakes", "tpr", names[1])):
        result = run.results[name]
        interval = " – ".join(map(percent, result[f"{rate}_interval"]))
        called.append(f"{percent(result[rate])}% [{interval}] of 30 {kind} ({name})")
    expected = f"Called fake: {', '.join(called)}."
    assert headline([run]).endswith(f" on first. {expected}")
    assert headline([make_run(tmp_path / "run", 0, 0.0, names[1:])]).startswith("Called fake: ")
    empty = make_run(tmp_path / "run", generators=("empty",))
    assert headline([empty]) == "No image was tested, so there are no figures."


def test_headline_of_many_sets_of_one_class_names_the_lowest_and_the_highest(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes",))
    shares = {"a": 0.5, "b": 0.25, "c": 0.75, "d": 0.6}
    one = run.metrics["generators"].pop("only_fakes")
    run.metrics["generators"] |= {name: one | {"tpr": share} for name, share in shares.items()}
    assert headline([run]) == "Called fake: 25.0% (b) to 75.0% (c) of the fakes of 4 sets."


def test_headline_of_runs_without_an_ap_names_the_range_of_their_shares(tmp_path) -> None:
    runs = [
        make_run(tmp_path / str(seed), seed, 2.0 * seed, ("only_fakes",), label=str(seed))
        for seed in (0, 1)
    ]
    runs = label_runs(runs)
    shares = [run.results["only_fakes"]["tpr"] for run in runs]
    low, high = sorted(runs, key=lambda run: run.results["only_fakes"]["tpr"])
    assert headline(runs) == (
        f"None of the 2 runs has an AP. Called fake: {percent(min(shares))}% ({low.label}) to "
        f"{percent(max(shares))}% ({high.label}) of the fakes of only_fakes."
    )


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
