"""Runs that leave sets out of their training: labels, means of seen and unseen, the comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genspot.evaluation.intervals import ap_over_seeds
from genspot.evaluation.means import means_apart, of_generators
from genspot.report.comparison import best_aps, differences, over_seeds, seed_groups
from genspot.report.console import notes, print_results
from genspot.report.dashboard import dashboard
from genspot.report.held_out import held_out_tables
from genspot.report.page import render_report
from genspot.report.runs import Run, label_runs
from genspot.report.sections.question import question
from helpers.report_page import result_cells
from helpers.report_runs import make_training, percent

NAMES = ("a", "b", "c")


def make(
    folder: Path,
    left_out: tuple[str, ...],
    seed: int = 0,
    until: int | None = None,
    **about: object,
) -> Run:
    """Return a training on `NAMES` without some."""
    about["trained_on"] = {"data": "sets", **about.get("trained_on", {})}  # type: ignore
    name = f"{'_'.join(left_out)}{seed}"
    score_seed = 10 * seed + sum(map(ord, "".join(left_out)))
    images = folder / "images"
    run = make_training(folder / name, seed, score_seed, generators=NAMES, images=images, **about)
    trained = [one for one in NAMES if one not in left_out]
    data = f"data: {{generator: {trained}, hold_out: {list(left_out)}, until: {until or 'null'}}}"
    run = replace(run, config=data)
    seen = {one: run.has_seen(one) for one in NAMES}
    run.metrics["means"] = means_apart(run.metrics, run.scores, seen, 0.95)
    return run


@pytest.fixture
def sweep(tmp_path: Path) -> list[Run]:
    """Each generator left out once."""
    return label_runs([make(tmp_path, (name,)) for name in NAMES])


def test_labels_name_what_is_left_out(sweep: list[Run], tmp_path: Path) -> None:
    assert [run.label for run in sweep] == [f"sets without {name}" for name in NAMES]
    assert make(tmp_path, ("b", "c"), until=2019).choices["data"] == "sets until 2019"
    many = replace(sweep[0], config="data: {generator: [x], hold_out: [a, b, c, d, e]}")
    assert many.choices["data"] == "sets without a, b, c and 2 more"
    assert replace(many, config="data: {generator: x}").choices["data"] == "sets"


def test_has_seen_knows_sets_without_a_kind_that_a_training_left_out(sweep: list[Run]) -> None:
    assert [sweep[0].has_seen(name) for name in (*NAMES, "other")] == [False, True, True, None]
    assert sweep[0].groups == {"seen": ["b", "c"], "unseen": ["a"]}
    old = replace(sweep[0], config="data: {generator: a}\ngenerator: {b: {kind: GAN}, c: {}}")
    assert [old.has_seen(name) for name in NAMES] == [True, False, None]
    assert [replace(old, config="{").has_seen(name) for name in NAMES] == [None] * 3


def test_means_of_seen_and_unseen_are_shown_everywhere(
    sweep: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = sweep[0]
    seen, unseen = (run.metrics["means"][key]["ap"] for key in ("seen", "unseen"))
    files = render_report([run], "One")
    cells = result_cells(files["report.html"])
    for row, ap in (("mean of seen", seen), ("mean of unseen", unseen)):
        assert cells[run.folder.name, row, "ap"] == percent(ap)
        assert f",{row}," in files["results.csv"]
        assert f"| {row} (" in files["results.md"] and f"{row} (" in files["results.tex"]
        assert dashboard(run).figures[f"ap/{row}"] == ap
        assert {f"ap_low/{row}", f"ap_high/{row}"} <= dashboard(run).bounds.keys()
    assert "of seen generators" in files["report.html"]
    # The rule of the LaTeX table stands before the first of the means.
    body = files["results.tex"].split(r"\midrule")
    assert body[1].count(r"\\") == 3 and body[2].count(r"\\") == 3
    print_results(run.metrics, run.folder)
    assert "mean of unseen (1 set)" in capsys.readouterr().out


def test_notes_say_of_how_many_sets_nothing_is_known(sweep: list[Run]) -> None:
    run = sweep[0]
    assert not any("it is not known" in note for note in notes(run.metrics))
    run.metrics["means"]["seen"]["generators"] = 1
    assert any("are over 2 of 3: of the others it is" in note for note in notes(run.metrics))


def test_question_names_all_generators_of_the_training(sweep: list[Run]) -> None:
    text = " ".join(question(sweep[0]))
    assert "whose fakes are made by b and c." in text
    assert "3 generators: 2 it had seen in training, b and c, the other 1 not." in text


def test_held_out_table_has_the_ap_of_each_kind_of_training(sweep: list[Run]) -> None:
    (table,) = held_out_tables(sweep)
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == [*NAMES, "mean"]
    for number, name in enumerate(NAMES):
        held_out = sweep[number].results[name]["ap"]
        others = [run.scores for run in sweep if run is not sweep[number]]
        seen = ap_over_seeds([of_generators(one, [name]) for one in others])["mean"]
        texts = rows[name]
        assert texts[0].startswith(f"{percent(held_out)} [") and texts[1] == "1"
        low, high = map(percent, seen["interval"])
        assert texts[2:4] == [f"{percent(seen['ap'])} [{low} – {high}]", "2"]
    mean = sum(sweep[number].results[name]["ap"] for number, name in enumerate(NAMES)) / 3
    assert rows["mean"][0].startswith(f"{percent(mean)} [")
    assert "[" not in rows["mean"][2] and rows["mean"][2] != "–"


def test_held_out_table_is_in_the_report_of_a_sweep_alone(sweep: list[Run]) -> None:
    files = render_report(sweep, "Sweep")
    (table,) = held_out_tables(sweep)
    for text in (files["report.html"], files["results.md"]):
        plain = text.replace("\\", "")
        assert "Held out and seen" in text and all(row[1] in plain for row in table.rows)
    for runs in (sweep[:1], [sweep[0], replace(sweep[1], config=sweep[0].config)]):
        assert held_out_tables(runs) == []
        assert "Held out and seen" not in render_report(runs, "Other")["report.html"]


def test_report_of_a_sweep_that_holds_sets_out_answers_that_first(sweep: list[Run]) -> None:
    files = render_report(sweep[::-1], "Sweep")
    (table,) = held_out_tables(sweep)
    _, held_out, _, seen, *_ = table.rows[-1]
    page, text = files["report.html"], files["results.md"].replace("\\", "")
    answer = f"Mean AP of the generators when held out of the training: {held_out}; when seen in "
    assert f'<p class="headline">{answer}training: {seen}.' in page
    assert page.index("Held out and seen") < page.index("AP of each run")
    assert text.index("## Held out and seen") < text.index("## AP of each run")
    assert not any("Differences from" in one for one in files.values())
    # The runs have the order of the sets, whatever that of their folders.
    places = [page.index(f'<th scope="row">sets without {name}<') for name in NAMES]
    assert places == sorted(places) and files == render_report(sweep, "Sweep")


def test_report_of_runs_that_hold_out_the_same_compares_them(tmp_path: Path) -> None:
    runs = [make(tmp_path, ("a",)), make(tmp_path, ("a",), seed=1)]
    page = render_report(runs, "Seeds")["report.html"]
    assert "the highest mean AP is" in page and "Differences from" in page


def test_held_out_tables_of_other_augmentations_are_apart(tmp_path: Path) -> None:
    runs = [
        make(tmp_path / aug, (name,), trained_on={"aug": aug})
        for aug in ("none", "jpg_0.5")
        for name in NAMES
    ]
    runs = [
        replace(run, scores=first.scores) for run, first in zip(runs, runs[:3] * 2, strict=True)
    ]
    captions = [table.caption for table in held_out_tables(runs)]
    assert [caption.partition(":")[0] for caption in captions] == ["none", "jpg_0.5"]


def test_held_out_table_of_a_chronology_has_no_interval_of_its_mean(tmp_path: Path) -> None:
    runs = [make(tmp_path, ("b", "c"), until=1), make(tmp_path, ("c",), until=2)]
    (table,) = held_out_tables(runs)
    assert [(row[0], row[2], row[4]) for row in table.rows] == [
        ("b", "1", "1"),
        ("c", "2", "0"),
        ("mean", "", ""),
    ]
    assert table.rows[1][3] == table.rows[2][3] == "–" and "[" not in table.rows[2][1]


def test_seeds_of_one_held_out_set_form_a_group(tmp_path: Path) -> None:
    runs = [make(tmp_path, (name,), seed) for name in NAMES for seed in (0, 1)]
    groups = [[(run.left_out, run.training_seed) for run in group] for group in seed_groups(runs)]
    assert groups == [[([name], 0), ([name], 1)] for name in NAMES]
    first = over_seeds(runs)[0]
    parts = [of_generators(run.scores, ["b", "c"]) for run in runs[:2]]
    expected = ap_over_seeds(parts)["mean"]
    assert first.results["mean of seen"]["ap_interval"] == expected["interval"]
    (table,) = held_out_tables(runs)
    assert [row[2] for row in table.rows] == ["2", "2", "2", ""] and "[" in table.rows[-1][1]


def test_means_over_other_generators_are_not_compared(sweep: list[Run], tmp_path: Path) -> None:
    assert best_aps(sweep, ["mean of unseen"]) == {"mean of unseen": ""}
    (difference, _) = differences(sweep)
    assert [text for text, _ in difference["cells"][1:3]] == ["–", "–"]
    again = make(tmp_path, ("a",), seed=1)
    assert best_aps([sweep[0], again], ["mean of unseen"])["mean of unseen"] != ""
    (difference,) = differences([sweep[0], again])
    own, own_mean = difference["cells"][3], difference["cells"][2]
    assert own_mean == own and "[" in own[0]  # of "a" alone
