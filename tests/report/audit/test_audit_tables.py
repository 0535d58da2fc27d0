"""An audit as tables and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genspot.evaluation.overlaps import ImageSet
from genspot.report.audit.findings import Audit
from genspot.report.audit.tables import as_json, pair_table, trait_table
from helpers import faulty_sets
from helpers.audits import make_audit

GOOD, BAD = ImageSet("good", "test"), ImageSet("bad", "train")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("audit")
    faulty_sets.clean_png(folder / "good", count=3)
    faulty_sets.clean_png(folder / "bad", seed=5, count=3)
    for label, name in ((0, "0_real"), (1, "1_fake")):  # a copy, and one with another label
        source = folder / "good" / name / "000.png"
        shutil.copy(source, folder / "bad" / faulty_sets.CLASSES[label] / "copy.png")
        shutil.copy(
            folder / "good" / name / "001.png",
            folder / "bad" / faulty_sets.CLASSES[1 - label] / "wrong.png",
        )
    return make_audit(
        {GOOD: folder / "good", BAD: folder / "bad"},
        {GOOD: {"format": "none", "size": "slight"}},
    )


def test_trait_table_has_a_row_for_each_trait_and_one_for_a_set_without(audit: Audit):
    rows = trait_table(audit).to_pylist()
    assert [(row["set"], row["split"], row["trait"], row["judgement"]) for row in rows] == [
        ("good", "test", "format", "none"),
        ("good", "test", "size", "slight"),
        ("bad", "train", None, None),
    ]
    assert (rows[1]["ap"], rows[1]["ap_low"], rows[1]["chance"]) == (0.7, 0.69, 0.5)
    assert (rows[2]["real"], rows[2]["fake"]) == (5, 5)


def test_pair_table_says_where_both_images_are(audit: Audit):
    rows = pair_table(audit).to_pylist()
    assert [(row["kind"], row["set"], row["other_set"], row["other_split"]) for row in rows] == [
        ("equal files", "good", "bad", "train")
    ] * 4
    found = {
        (Path(row["path"]).name, row["label"], Path(row["other_path"]).name, row["other_label"])
        for row in rows
    }
    assert found == {
        ("000.png", "real", "copy.png", "real"),
        ("000.png", "fake", "copy.png", "fake"),
        ("001.png", "real", "wrong.png", "fake"),
        ("001.png", "fake", "wrong.png", "real"),
    }
    assert len({row["group"] for row in rows}) == 4


def test_pair_table_tells_a_scene_from_a_duplicate(tmp_path: Path):
    faulty_sets.clean_png(tmp_path, count=2)
    source = tmp_path / "0_real" / "000.png"
    with faulty_sets.Image.open(source) as image:
        image.save(tmp_path / "1_fake" / "translation.jpg", quality=80)
        image.save(tmp_path / "0_real" / "again.jpg", quality=60)
    rows = pair_table(make_audit({GOOD: tmp_path}, {})).to_pylist()
    kinds = {tuple(sorted((row["label"], row["other_label"]))): row["kind"] for row in rows}
    assert kinds == {
        ("real", "real"): "other compression",
        ("fake", "real"): "same scene as real and fake",
    }


def test_as_json_holds_all_figures_and_only_json(audit: Audit):
    content = json.loads(json.dumps(as_json(audit), allow_nan=False))
    assert content["judgement"] == "decisive"  # test images in the training set
    good, bad = content["sets"]
    assert (good["name"], good["real"], good["judgement"]) == ("good", 3, "decisive")
    assert [one["name"] for one in good["traits"]] == ["format", "size"]
    assert good["overlaps"][0] == {
        "rule": "test images in the training set",
        "equal": 4,
        "near": 0,
        "total": 6,
        "judgement": "decisive",
        "text": "4 of 6 images (66.7%) are in the training set too.",
        "others": [{"name": "bad", "split": "train"}],
        "fix": good["overlaps"][0]["fix"],
    }
    assert bad["traits"] == []
    assert content["duplicates"]["pairs"]["equal files"] == 4
    assert content["command"] == "task=audit"
