from __future__ import annotations

import pytest

from genspot.report.console import notes
from genspot.report.page import render_report
from genspot.report.runs import label_runs
from genspot.report.summary import ap_accuracy_gap_note, headline
from genspot.report.tables import format_ap
from helpers.report_runs import COMPLETE, GENERATORS, make_run, percent


def test_headline_of_one_run_names_the_mean_the_best_and_the_worst(single) -> None:
    (run,) = single.runs
    ap = {name: run.results[name]["ap"] for name in COMPLETE}
    best, worst = max(ap, key=ap.__getitem__), min(ap, key=ap.__getitem__)
    text = headline([run])
    assert text.startswith(f"Mean AP {percent(run.metrics['mean']['ap'])}% (95% interval ")
    assert f"highest on {best} ({format_ap(run.results[best])})" in text
    assert f"lowest on {worst} ({format_ap(run.results[worst])})." in text


def test_headline_names_no_set_of_few_images_as_the_best_or_worst(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=COMPLETE)
    figures = run.metrics["generators"]
    for name, ap in zip(COMPLETE, (1.0, 0.9, 0.8, 0.1), strict=True):
        figures[name] |= {"ap": ap, "ap_interval": [ap, ap]}
    figures[COMPLETE[0]] |= {"real": 9}
    figures[COMPLETE[3]] |= {"fake": 1}
    text = headline([run])
    assert f"highest on {COMPLETE[1]} (90.0 [90.0 – 90.0])" in text
    assert text.endswith(
        f"lowest on {COMPLETE[2]} (80.0 [80.0 – 80.0]) (of those with 10 images of each class or "
        "more)."
    )
    few = f"{COMPLETE[0]} (9 real and 30 fake), {COMPLETE[3]} (30 real and 1 fake)"
    note = f"Tested on fewer than 10 images of a class: {few}. Their figures say little."
    assert note in notes(run.metrics)
    assert note in render_report([run, run], "Two")["report.html"].partition("<table")[0]
    for name in COMPLETE:
        figures[name]["ap"] = 1.0
    assert headline([run]).endswith(" over 4 generators.")
    runs = [make_run(tmp_path / str(seed), seed, generators=COMPLETE[:1]) for seed in (0, 1)]
    for one in runs:
        one.metrics["mean"]["ap"] = 1.0
    assert headline(label_runs(runs)) == "Each of the 2 runs has a mean AP of 100.0%."


def test_headline_of_equal_shares_says_them_once(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes",))
    one = run.metrics["generators"].pop("only_fakes") | {"tpr": 0.0}
    run.metrics["generators"] |= dict.fromkeys("abcd", one)
    assert headline([run]) == "Called fake: 0.0% (each) of the fakes of 4 sets."
    runs = [make_run(tmp_path / str(seed), seed, 0.0, ("only_fakes",)) for seed in (0, 1)]
    for each in runs:
        each.metrics["generators"]["only_fakes"]["tpr"] = 0.0
    expected = "Called fake: 0.0% (each run) of the fakes of only_fakes."
    assert headline(label_runs(runs)).endswith(expected)


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
