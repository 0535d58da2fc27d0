"""Kept features: computed once for any number of heads, seeds and tests, also over a stop."""

from __future__ import annotations

import logging
import re
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from genspot.detector.feature_store import FeatureStore
from helpers.clip import SIDE, clip_overrides, save_encoder
from helpers.errors import error_of
from helpers.images import save_set
from helpers.runs import assert_same_training, read_csv, read_logits, read_metrics
from helpers.settings import tiny
from helpers.tasks import run_task

COUNTS = re.compile(r"features of (\d+) (.+): (\d+) kept already, (\d+) to compute")
# In tests/conftest.py; one training image and one test image cannot be read.
TRAIN, TEST = 34, 15


class World:
    """A folder with an encoder, and the runs in it."""

    def __init__(self, folder: Path, sets: Path) -> None:
        self.folder, self.sets = folder, sets
        self.encoder = save_encoder(folder / "clip.pth")

    def train(self, run: str, *changes: str, model: str = "univfd") -> Path:
        own = [*clip_overrides(model, self.encoder), f"paths.datasets={self.folder}"]
        short = ["schedule=constant", "schedule.max_epochs=2", "schedule.batch_size=8"]
        settings = [*tiny(self.sets), *own, *short, *changes]
        return run_task(*settings, folder=self.folder / run)

    def test(self, run: str, checkpoint: Path, *changes: str) -> Path:
        sets = ["generator=folder", f"test_set.path={self.sets}/test", "test_set.name=mine"]
        own = [f"paths.datasets={self.folder}", "trainer=cpu", "workers=0", *sets]
        settings = ["task=test", f"checkpoint={checkpoint}", *own, *changes]
        return run_task(*settings, folder=self.folder / run)


@pytest.fixture
def world(tmp_path: Path, sets: Path) -> World:
    return World(tmp_path, sets)


@pytest.fixture
def counts(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """Call it for what the log said since the last call: images, kept and computed, by kind."""
    caplog.set_level(logging.INFO, "genspot.tasks.features")

    def read() -> dict[str, tuple[int, int, int]]:
        found = COUNTS.findall(caplog.text)
        caplog.clear()
        return {what: (int(total), int(kept), int(new)) for total, what, kept, new in found}

    yield read


def assert_close(run: Path, other: Path) -> None:
    first, second = read_logits(run), read_logits(other)
    assert first.keys() == second.keys()
    assert list(first.values()) == pytest.approx([second[path] for path in first], abs=1e-5)


def test_second_training_and_a_test_compute_no_features(world: World, counts: Any) -> None:
    first = world.train("first")
    seen = counts()
    kinds = ["training images", "validation images"]
    kinds += ["validation images as tests see theirs", "test images"]
    assert list(seen) == kinds
    assert all(kept == 0 for _, kept, _ in seen.values())
    second = world.train("second", "seed=7", "schedule.optimizer.lr=0.1")
    unreadable = {"training images": 1, "test images": 1}  # these are tried again
    for what, (total, kept, new) in counts().items():
        assert (new, kept) == (unreadable.get(what, 0), total - new), what
        assert total == seen[what][0]
    assert read_logits(first) != read_logits(second)
    tested = world.test("test", first / "best.ckpt")
    assert counts() == {"test images": (TEST, TEST - 1, 1)}
    assert_close(tested, first)


@pytest.mark.parametrize("model", ["rine", "univfd"])
def test_scores_are_those_of_the_images(model: str, world: World) -> None:
    trained = world.train("run", model=model)
    assert_close(world.test("test", trained / "best.ckpt", "keep_features=false"), trained)


def test_encoder_of_the_same_weights_and_another_form_has_features_of_its_own(
    world: World, counts: Any
) -> None:
    """timm's ViT-L/14 with GELU takes OpenAI's weights, which are of one with QuickGELU."""
    trained = world.train("run")
    other = ["model.backbone.arch=tiny_clip_with_gelu", "allow_mismatch=true"]
    counts()
    kept = world.test("kept", trained / "best.ckpt", *other)
    assert counts() == {"test images": (TEST, 0, TEST)}
    assert_close(
        kept, world.test("computed", trained / "best.ckpt", *other, "keep_features=false")
    )


def test_features_of_a_part_that_settings_do_not_describe_are_not_kept(
    world: World, counts: Any
) -> None:
    own = "+model.input._target_=genspot.detector.inputs.pixels.Pixels"
    world.train("run", "~model.input.name", own, "model.name=mine")
    assert not counts()
    assert not (world.folder / "features").exists()


def test_images_at_another_place_have_the_same_features(world: World) -> None:
    first = world.train("first")
    world.sets = shutil.copytree(world.sets, world.folder / "elsewhere")
    second = world.train("second", f"paths.features={world.folder}/others")
    states = [torch.load(run / "last.ckpt", weights_only=True) for run in (first, second)]
    torch.testing.assert_close(states[0]["state_dict"], states[1]["state_dict"])


def test_whole_images_have_features_each_of_its_own_size(world: World) -> None:
    own = ["model.backbone.arch=tiny_clip_of_any_size", "model.test.crop=null"]
    trained = world.train("run", *own)
    assert_close(world.test("computed", trained / "best.ckpt", "keep_features=false"), trained)


def test_training_without_augmentation_learns_the_same_from_kept_features(world: World) -> None:
    """Without anything random, kept features are those that each epoch computes."""
    plain = ["aug=none", "aug.flip=0", "+model.train.position=centre"]
    kept = world.train("kept", *plain)
    computed = world.train("computed", *plain, "keep_features=false")
    assert_close(kept, computed)


def test_images_that_cannot_be_read_are_counted_as_without_features(world: World) -> None:
    kept, computed = world.train("kept"), world.train("computed", "keep_features=false")
    names = [
        [Path(row["path"]).name for row in read_csv(run / "unreadable.csv")]
        for run in (kept, computed)
    ]
    assert names[0] == names[1] == ["broken.png", "torn.png"]
    assert read_metrics(kept)["unreadable_in_training"] == 1


def test_training_that_was_killed_computes_only_the_rest(
    world: World, counts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = FeatureStore.append, []

    def killed(self: FeatureStore, keys: Any, features: Any, padded: Any) -> None:
        append(self, keys, features, padded)
        calls.append(len(keys))
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(FeatureStore, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        world.train("run", "schedule.eval_batch_size=6")
    assert counts()["training images"] == (TRAIN, 0, TRAIN)
    monkeypatch.undo()
    resumed = world.train("run", "schedule.eval_batch_size=6")
    assert counts()["training images"] == (TRAIN, sum(calls), TRAIN - sum(calls))
    other = world.train("other", f"paths.features={world.folder}/elsewhere")
    assert counts()["training images"] == (TRAIN, 0, TRAIN)
    assert_close(resumed, other)


def test_training_on_features_is_prolonged_to_the_bits_of_a_longer_one(world: World) -> None:
    """With dropout in the head, and with two losses."""
    settings = ["schedule.contrastive=0.2"]
    world.train("run", *settings, model="rine")
    run = world.train("run", *settings, "schedule.max_epochs=3", model="rine")
    longer = world.train("longer", *settings, "schedule.max_epochs=3", model="rine")
    assert_same_training(run, longer)


def test_image_that_changed_is_computed_again_and_other_settings_are_kept_apart(
    tmp_path: Path, counts: Any
) -> None:
    sets = tmp_path / "sets"
    for split in ("train", "val", "test"):
        save_set(sets / split, 5, 5, seed=len(split))
    world = World(tmp_path, sets)
    checkpoint = world.train("run") / "best.ckpt"
    counts()
    image = sets / "test" / "0_real" / "000.png"
    image.write_bytes((sets / "test" / "1_fake" / "000.png").read_bytes())
    changed = world.test("changed", checkpoint)
    assert counts() == {"test images": (10, 9, 1)}
    logits = read_logits(changed)
    copied = str(sets / "test" / "1_fake" / "000.png")
    assert logits[str(image)] == pytest.approx(logits[copied], abs=1e-5)
    degraded = world.test("degraded", checkpoint, "degradations=jpeg_50")
    assert counts() == {"test images": (10, 0, 10)}
    images = world.test("images", checkpoint, "degradations=jpeg_50", "keep_features=false")
    assert_close(images, degraded)
    world.test("matched", checkpoint, "protocol=matched_jpeg_50")
    assert counts()["test images"] == (10, 0, 10)


def test_checkpoint_holds_no_encoder_and_finds_it_elsewhere(world: World) -> None:
    trained = world.train("run")
    checkpoint = trained / "best.ckpt"
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    names = [key.removeprefix("network.backbone.") for key in state]
    assert names == ["encoder.digest", "head.weight", "head.bias"]
    moved = world.encoder.rename(world.folder / "moved.pth")
    assert "clip.pth: no such file" in error_of(lambda: world.test("lost", checkpoint))
    found = world.test("found", checkpoint, *clip_overrides("univfd", moved))
    assert_close(found, trained)
    other = save_encoder(world.folder / "other.pth", seed=1)
    message = error_of(lambda: world.test("other", checkpoint, *clip_overrides("univfd", other)))
    assert "another encoder" in message
    assert str(checkpoint) in message


def test_features_for_which_the_disk_has_no_room_are_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr("genspot.tasks.features.shutil.disk_usage", lambda _: usage(1, 1, 100))
    message = error_of(lambda: world.train("run"))
    assert "for features and the disk has 0.0 GB free" in message


def test_fitted_input_is_refused(world: World) -> None:
    fitted = ["model.input.name=dct_log", f"+model.input.size={SIDE}", "model.name=mine"]
    without = ["~model.input.mean", "~model.input.std"]
    message = error_of(lambda: world.train("run", *fitted, *without))
    assert "keep_features=false" in message
