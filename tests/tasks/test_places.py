"""A training and a test give the same scores from any form of the same images."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from genspot.common.errors import GenspotError
from genspot.data.places import load_samples
from genspot.runtime.content import describe_images
from genspot.tasks.commands import quoted
from genspot.tasks.places import roots
from helpers.containers import as_containers, write_zip
from helpers.runs import read_logits, read_metrics
from helpers.settings import SEARCH_PATH, TINY
from helpers.tasks import run_task


def logits_of(scores: pa.Table, name: str) -> list[float]:
    """Return the logits of one test set, in its order."""
    logits: list[float] = scores.filter(pc.field("generator") == name)["logit"].to_pylist()
    return logits


def test_test_scores_every_form_of_the_same_images_alike(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder = sets / "train"  # 34 images, one of which cannot be read
    forms = {"folder": folder} | as_containers(folder, tmp_path / "forms")
    named = {form.replace(" ", "_"): place for form, place in forms.items()}
    chosen = ",".join(f"{name}:{quoted(place)}" for name, place in named.items())
    settings = [f"checkpoint={trained / 'best.ckpt'}", f"test_sets={{{chosen}}}", SEARCH_PATH]
    # Two batches of each set: the last bit of a logit can depend on the others of its batch.
    settings += ["task=test", "workers=2", "schedule.eval_batch_size=17"]
    run = run_task(*settings, folder=tmp_path / "run")
    scores = pq.read_table(run / "scores.parquet")
    expected = logits_of(scores, "folder")
    assert len(expected) == 33
    for name in named:
        assert logits_of(scores, name) == expected, name
    assert read_metrics(run)["generators"].keys() == named.keys()


def test_training_on_a_zip_and_on_sides_is_the_training_on_folders(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    archive = as_containers(sets / "train", tmp_path / "forms")["zip"]
    val = f"{{real: {quoted(sets / 'val/0_real')}, fake: {quoted(sets / 'val/1_fake')}}}"
    places = [f"data.train={quoted(archive)}", f"data.val={val}", f"test_set.path={sets}/test"]
    run = run_task(*TINY, *places, "test_set.name=mine", folder=tmp_path / "run")
    assert read_logits(run) == read_logits(trained)
    assert read_metrics(run)["fit"] == read_metrics(trained)["fit"]


def test_labels_are_a_setting(trained: Path, sets: Path, tmp_path: Path) -> None:
    for name, other in (("0_real", "photos"), ("1_fake", "Flux")):
        (tmp_path / "set" / other).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / other).symlink_to(sets / "test" / name)
    settings = [f"checkpoint={trained / 'best.ckpt'}", f"test_sets={{a: {tmp_path}/set}}"]
    settings += ["task=test", "workers=0", SEARCH_PATH]
    with pytest.raises(GenspotError, match=r"no label folders .*labels=\{real: \[NAME\]"):
        run_task(*settings, folder=tmp_path / "refused")
    labels = "labels={real: [photos], fake: [flux]}"
    run = run_task(*settings, labels, folder=tmp_path / "run")
    assert list(read_logits(run).values()) == list(read_logits(trained).values())


@pytest.mark.parametrize("setting", ["task=pack", "data.format=packed"])
def test_packing_of_a_zip_is_refused_in_one_line(sets: Path, tmp_path: Path, setting: str) -> None:
    archive = as_containers(sets / "train", tmp_path / "forms")["zip"]
    places = [f"data.{split}={quoted(archive)}" for split in ("train", "val")]
    test = f"test_set.path={sets}/test"
    with pytest.raises(GenspotError, match="only folders are packed"):
        run_task(*TINY, *places, test, setting, folder=tmp_path / "run")


@pytest.mark.parametrize("within", ["", "/all", "/all/0_real", "/all/0_real/a.png"])
def test_roots_of_a_zip_or_a_place_within_it_know_the_moved_file_again(
    within: str, tmp_path: Path
) -> None:
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        archive = write_zip(tmp_path / name / "set.zip", {"all/0_real/a.png": b"x"})
        place = {"real": f"{archive}{within}"}
        table = load_samples(place, "mine", "any").table
        found.append(describe_images(table, roots(place, table["path"].to_pylist())))
    assert found[0] == found[1] and found[0]["images"] == 1
