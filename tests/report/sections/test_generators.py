from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from genspot.report.examples import Panel, make_panels
from genspot.report.runs import Run
from genspot.report.sections.generators import answer, bars, graded_names, pictures
from genspot.report.tables import format_ap, format_estimate
from helpers.report_runs import make_run, percent

INTERVALS = {"a": [0.95, 0.99], "b": [0.6, 0.8], "c": [0.4, 0.6], "d": [0.91, 0.99]}


def make(folder: Path, *names: str, **metrics: object) -> tuple[Run, list[Panel]]:
    """Return a run with `INTERVALS`, trained on fakes by "a", and its panels."""
    run = make_run(folder / "run", generators=names, **metrics)
    files = ", ".join(f"{name}: {{kind: GAN}}" for name in names)
    run = replace(run, config=f"data: {{generator: a}}\ngenerator: {{{files}}}")
    for name, interval in INTERVALS.items():
        if name in names:
            figures = {"ap": sum(interval) / 2, "ap_interval": interval}
            run.metrics["generators"][name] |= figures
    return run, make_panels(run)


def test_answer_counts_the_grades_of_all_and_of_unseen_generators(tmp_path: Path) -> None:
    run, panels = make(tmp_path, *INTERVALS)
    text = " ".join(answer(run, panels))
    assert "Of 4 generators, 2 are found, 1 is partly found and 1 is not distinguishable" in text
    assert "Of the 3 that it had not seen in training, 1 is found, 1 is partly found and " in text
    assert f"The mean AP is {format_ap(run.metrics['mean'])}." in text
    shares = [run.metrics["generators"][name]["acc_fake"] for name in INTERVALS]
    assert f"at a probability of 0.5, that is {percent(min(shares))}% (" in text
    assert f" to {percent(max(shares))}% (" in text
    for figures in run.metrics["generators"].values():
        figures["acc_fake"] = 0.0
    text = " ".join(answer(run, panels))
    assert "at a probability of 0.5, that is 0.0% of the fakes of each set." in text
    shortcut = run.metrics["mean"]["shortcut_baseline_ap"]
    assert f"reaches a mean AP of {percent(shortcut)}." in text


def test_answer_leaves_out_what_does_not_apply(tmp_path: Path) -> None:
    run, panels = make(tmp_path, "b", "only_fakes")
    run.metrics["mean"]["shortcut_baseline_ap"] = None
    first, second = answer(run, panels)
    assert first == "Of 1 generator, 1 is partly found."
    share = percent(run.metrics["generators"]["b"]["acc_fake"])
    assert second.endswith(f"at a probability of 0.5, that is {share}% of the fakes.")
    called = format_estimate(run.metrics["generators"]["only_fakes"], "tpr")
    names = dict(graded_names(run, panels))
    assert names["Found (share called fake in sets of fakes alone)"] == f"only_fakes {called}"
    run, panels = make(tmp_path, "only_fakes", "only_reals")
    assert "there is no ranking and no AP" in answer(run, panels)[0]
    assert bars(run, panels) is None
    real, fake = graded_names(run, panels)
    assert real[0] == "False alarms (share called fake in sets of real images alone)"
    assert real[1].startswith("only_reals ") and fake[1].startswith("only_fakes ")


def test_graded_names_have_the_ap_of_the_tables(tmp_path: Path) -> None:
    run, panels = make(tmp_path, *INTERVALS)
    names = {grade.partition(" (")[0]: found for grade, found in graded_names(run, panels)}
    assert names == {
        "Found": "a 97.0 [95.0 – 99.0], d 95.0 [91.0 – 99.0]",
        "Partly found": "b 70.0 [60.0 – 80.0]",
        "Not distinguishable from chance": "c 50.0 [40.0 – 60.0]",
    }
    drawn = bars(run, panels)
    assert drawn is not None and "b 70.0 [60.0 – 80.0]" in drawn and "c: not disting" in drawn


def test_pictures_describe_what_is_shown(tmp_path: Path, single) -> None:
    run, panels = make(tmp_path, "a", "b", degradations=["jpeg_50"])
    text = pictures(run, panels)
    assert "The real image has the median logit of the real images." in text
    assert "Images and spectra are undegraded." in text
    assert "mean spectrum" not in text
    shown = [replace(panel, same_scene=True) for panel in panels]
    assert "The real image shows the same scene: " in pictures(run, shown)
    shown[1] = panels[1]
    assert "shows the same scene where there is one, and else" in pictures(run, shown)
    run, panels = make(tmp_path, "only_fakes")
    text = pictures(run, panels)
    assert "The real image" not in text and "AP" not in text and "undegraded" not in text
    (run,) = single.runs
    assert "mean spectrum" in pictures(run, make_panels(run))
