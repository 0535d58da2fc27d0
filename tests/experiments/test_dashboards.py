"""experiments/dashboards.py: a W&B report of the studies, with panels for what runs log."""

from __future__ import annotations

import json
import runpy
import sys
from typing import Any

import pytest

from experiments import dashboards

pytestmark = pytest.mark.usefixtures("isolated_wandb")


def sections(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """Return what the report shows below each heading: its runs and its panels."""
    dashboards.main(["--entity", "me", *arguments])
    blocks = json.loads(capsys.readouterr().out)["spec"]["blocks"]
    pairs = [block for block in blocks if block["type"] in ("heading", "panel-grid")]
    return {
        heading["children"][0]["text"]: grid["metadata"]
        for heading, grid in zip(pairs[::2], pairs[1::2], strict=True)
    }


def panels(grid: dict[str, Any]) -> list[dict[str, Any]]:
    return grid["panelBankSectionConfig"]["panels"]  # type: ignore[no-any-return]


def test_report_compares_augmentations_and_class_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grids = sections(capsys)
    assert list(grids) == ["Augmentations", "Class counts", "Curves", "Media"]
    for name, choice, key, value in (
        ("Augmentations", "aug", "num_classes", 20),
        ("Class counts", "num_classes", "aug", "blur_jpg_0.5"),
    ):
        (runs,) = grids[name]["runSets"]
        filters = [
            (item["key"]["name"], item["op"], item["value"]) for item in runs["filters"]["filters"]
        ]
        assert filters == [("task", "=", "train"), (key, "=", value), ("model", "=", "resnet50")]
        assert runs["grouping"] == [{"section": "config", "name": f"{choice}.value"}]
        charts = [panel["config"] for panel in panels(grids[name])]
        assert {panel["viewType"] for panel in panels(grids[name])} == {"Bar Chart"}
        assert {(chart["groupBy"], chart["groupArea"]) for chart in charts} == {
            (f"{choice}.value", "minmax")
        }
        together, mean, *each = [chart["metrics"] for chart in charts]
        assert len(together) == len(each) == 13
        assert mean == ["ap_low/mean", "ap/mean", "ap_high/mean"]
        assert [metrics[1] for metrics in each] == together


def test_report_shows_the_curves_tables_and_pictures_of_a_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The keys are those that `wandb_logger` and `report.dashboard` log."""
    grids = sections(capsys, "--generators", "san,sitd")
    curves = [panel["config"]["metrics"] for panel in panels(grids["Curves"])]
    assert curves == [["train/loss"], ["val/acc"], ["val/ap"]]
    table, chart, spectra, ranking = panels(grids["Media"])
    assert "ap_table" in json.dumps(table)
    assert "pr_table" in json.dumps(chart)
    assert "spectra/san_real" in spectra["config"]["mediaKeys"]
    assert "ranking/san" in ranking["config"]["mediaKeys"]


def test_miniature_report_compares_all_trainings(capsys: pytest.CaptureFixture[str]) -> None:
    grids = sections(capsys, "--miniature")
    for name, grid in grids.items():
        filters = [item["key"]["name"] for item in grid["runSets"][0]["filters"]["filters"]]
        assert filters == (["task"] if name in ("Augmentations", "Class counts") else [])
    metrics = panels(grids["Augmentations"])[0]["config"]["metrics"]
    assert "ap/sim_nearest" in metrics
    assert all(name.startswith("ap/sim_") for name in metrics)


@pytest.mark.parametrize("key", ["", 40 * "a"], ids=["no key", "refused"])
def test_save_without_access_ends_with_one_line(
    key: str, refusing_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    with pytest.raises(SystemExit) as stopped:
        dashboards.main(["--entity", "me", "--save"])
    assert isinstance(stopped.value.code, str)  # printed on stderr, with exit code 1
    assert stopped.value.code.startswith("dashboards: not saved: ")
    assert "\n" not in stopped.value.code


def test_missing_wandb_workspaces_ends_with_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)  # importing it fails
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(dashboards.__file__), run_name="__main__")
    assert stopped.value.code == (
        "dashboards: this report needs wandb-workspaces: pip install 'genspot[dashboards]' "
        "(in a checkout: make dashboards)"
    )
