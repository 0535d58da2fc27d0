"""What a model card says, for readers and for the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genspot.report.model_card import render_model_card
from genspot.report.runs import Run
from helpers.report_runs import COMPLETE, GENERATORS, SCRIPT, make_run, percent

huggingface_hub = pytest.importorskip("huggingface_hub")

TRAINING: dict[str, Any] = {
    "data": {"name": "simulated", "generator": "sim_nearest"},
    "schedule": {"batch_size": 7, "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.003}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("secret place") / "run"
    note = f"The sets share images: 3 files, the first {folder}/a b/cat/1.png. They do."
    fit = {"threshold": -1.25, "temperature": None, "images": 60, "notes": []}
    return make_run(folder, notes=[note], fit=fit, commit="0123abc")


def card_of(run: Run, training: dict[str, Any] = TRAINING, licence: str | None = None) -> str:
    return render_model_card(run, training, "jane/small_detector", licence)


def table_rows(card: str) -> list[list[str]]:
    """Return the cells of all rows of tables, as a reader sees them."""
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    unescaped = [line.replace("\\|", "\0").replace("\\", "") for line in lines]
    return [
        [cell.strip().replace("\0", "|") for cell in line.split("|")[1:-1]] for line in unescaped
    ]


def test_card_has_metadata_that_the_client_of_the_hub_reads(run: Run) -> None:
    data = huggingface_hub.ModelCard(card_of(run, licence="apache-2.0")).data
    assert (data.license, data.library_name) == ("apache-2.0", "genspot")
    assert data.pipeline_tag == "image-classification" and data.model_name == "small_detector"
    found = {(one.dataset_name, one.metric_type): one.metric_value for one in data.eval_results}
    for name in COMPLETE:
        figures = run.metrics["generators"][name]
        keys = {"average_precision": "ap", "accuracy": "acc", "false_positive_rate": "fpr"}
        for kind, key in keys.items():
            assert found[name, kind] == pytest.approx(figures[key], abs=1e-6), (name, kind)
    assert ("empty", "average_precision") not in found
    assert {kind for name, kind in found if name == "only_fakes"} == {"true_positive_rate"}


def test_metadata_of_the_card_say_how_the_images_were_tested(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", degradations=["blur_1", "jpeg_75"], crop=None)
    card = card_of(run)
    for one in huggingface_hub.ModelCard(card).data.eval_results:
        assert one.dataset_args["crop"] == "whole images"
        assert one.dataset_args["degradations"] == "blur_1 then jpeg_75"
    assert "All test images were degraded first: blur\\_1 then jpeg\\_75." in card


def test_card_without_a_licence_says_so_and_names_none(run: Run) -> None:
    card = card_of(run)
    assert huggingface_hub.ModelCard(card).data.license is None
    assert card.partition("## Licence")[2].strip().startswith("Not stated.")
    assert "apache" not in card.casefold()
    assert card_of(run, licence="mit").partition("## Licence")[2].strip().startswith("mit.")


def test_card_has_each_generator_with_intervals_and_false_alarms(run: Run) -> None:
    rows = table_rows(card_of(run))
    for name in COMPLETE:
        figures = run.metrics["generators"][name]
        ranking, called = (row for row in rows if row[0].partition(" (")[0] == name)
        assert ranking[1:3] == [
            percent(figures["ap"]),
            " – ".join(percent(end) for end in figures["ap_interval"]),
        ]
        interval = " – ".join(percent(end) for end in figures["fpr_interval"])
        assert called[1] == f"{percent(figures['fpr'])} [{interval}]"
    assert {row[0].partition(" (")[0] for row in rows} >= set(GENERATORS)


def test_card_marks_the_generators_of_the_training(run: Run) -> None:
    seen = Run(run.folder, run.metrics, json.dumps(TRAINING), run.scores)
    names = [row[0] for row in table_rows(card_of(seen))]
    assert names.count("sim_nearest (seen in training)") == 2
    assert sum("seen in training" in name for name in names) == 2


def test_card_has_no_folder_of_this_machine(run: Run) -> None:
    paths = {"teacher": f"{run.folder}/teacher.ckpt"}
    training = {"schedule": paths, "model": {"weights": f"{run.folder}/first.pth"}}
    card = card_of(run, training)
    assert "the first …/1.png. They do." in card
    assert ["teacher", "teacher.ckpt"] in table_rows(card)
    assert ["initial weights", "first.pth"] in table_rows(card)
    assert str(run.folder) not in card.replace("\\", "") and "secret" not in card
    assert "unreadable.csv" not in card


def test_card_escapes_what_comes_from_outside(run: Run) -> None:
    training = {"schedule": {"name": "x", "batch_size": f"{SCRIPT}|`\n# a"}}
    card = card_of(run, training)
    assert "<script" not in card.replace("\\<", "") and "\n# a" not in card
    assert ["batch size", f"{SCRIPT}|` # a"] in table_rows(card)


def test_card_names_its_model_in_the_commands(run: Run) -> None:
    card = card_of(run)
    assert "\ngenspot task=predict checkpoint=hub/jane/small_detector crop=32 inputs=" in card
    assert '\ndetector = genspot.load_detector("hub/jane/small_detector")\n' in card


def test_card_without_the_training_says_that_its_recipe_is_not_recorded(run: Run) -> None:
    assert ["recipe", "not recorded"] in table_rows(card_of(run, {}))
    assert ["recipe", "not recorded"] not in table_rows(card_of(run))


def test_card_of_real_images_alone_has_their_false_alarms(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("only_reals",))
    card = card_of(run)
    interval = " – ".join(map(percent, run.metrics["generators"]["only_reals"]["fpr_interval"]))
    assert any(
        row[0] == "only_reals (reals only)" and interval in row[1] for row in table_rows(card)
    )
    results = huggingface_hub.ModelCard(card).data.eval_results
    assert [one.metric_type for one in results] == ["false_positive_rate"]


def test_card_without_a_measured_shortcut_says_so(run: Run, tmp_path: Path) -> None:
    assert "sharpness and JPEG grid reaches a mean AP of" in card_of(run)
    metrics = {**run.metrics, "mean": run.metrics["mean"] | {"shortcut_baseline_ap": None}}
    card = card_of(Run(run.folder, metrics, run.config, run.scores))
    assert "It was not measured how much of the result" in card
