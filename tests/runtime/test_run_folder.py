"""A run's folder: lock, configuration and completeness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from genspot.common.errors import GenspotError
from genspot.runtime.run_folder import (
    can_continue,
    check_config,
    has_started,
    load_if_complete,
    lock_run_folder,
    remove_worthless_folders,
    save_config,
)
from genspot.runtime.shutdown import ShutdownRequested


def test_lock_of_a_locked_folder_raises_except_on_other_ranks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lock_run_folder(tmp_path):
        with pytest.raises(GenspotError, match="another run"), lock_run_folder(tmp_path):
            pass
        monkeypatch.setenv("LOCAL_RANK", "1")
        with lock_run_folder(tmp_path):
            pass
        monkeypatch.delenv("LOCAL_RANK")
    with lock_run_folder(tmp_path):
        pass


OLD = "seed: 1\ntrainer: {max_epochs: 4}\n"


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "last.ckpt", "previous.ckpt"])
def test_other_settings_are_refused_by_name_and_keep_what_is_there(
    name: str, tmp_path: Path
) -> None:
    save_config(tmp_path, OLD, "auto")
    (tmp_path / name).touch()
    new = OLD.replace("seed: 1", "seed: 2")
    for refuse in (check_config, save_config):
        with pytest.raises(GenspotError, match=r"with other settings: seed=1, now 2.*remove the"):
            refuse(tmp_path, new, "auto")
    assert (tmp_path / name).is_file()
    assert (tmp_path / "config.yaml").read_text() == OLD
    assert not has_started(tmp_path)


def test_more_epochs_continue_and_the_results_are_to_be_redone(tmp_path: Path) -> None:
    save_config(tmp_path, OLD, "auto")
    for name in ("metrics.json", "report.html", "last.ckpt", "best.ckpt"):
        (tmp_path / name).touch()
    longer = OLD.replace("4", "6")
    save_config(tmp_path, longer, "auto", epochs=4)
    assert (tmp_path / "config.yaml").read_text() == longer
    assert not (tmp_path / "metrics.json").exists()
    assert (tmp_path / "last.ckpt").exists()
    assert has_started(tmp_path)
    with pytest.raises(GenspotError, match=r"training; trainer.max_epochs=6, now 3"):
        check_config(tmp_path, OLD.replace("4", "3"), "auto", epochs=5)


def test_damaged_config_is_named(tmp_path: Path) -> None:
    for name, text in (("last.ckpt", ""), ("config.yaml", "seed: [1\n")):
        (tmp_path / name).write_text(text)
    with pytest.raises(GenspotError, match=r"config\.yaml cannot be read.*remove"):
        save_config(tmp_path, OLD, "auto")


SETS = "data: {train: /old/train, val: /old/val}\n"
CONTENT = {"data.train": {"images": 8, "names": "a"}, "data.val": {"images": 4, "names": "b"}}


def test_interrupted_training_continues_on_moved_images_only_if_they_are_the_same(
    tmp_path: Path,
) -> None:
    save_config(tmp_path, SETS, "auto", content=CONTENT)
    (tmp_path / "last.ckpt").touch()
    moved = SETS.replace("/old", "/new")
    save_config(tmp_path, moved, "auto", content=CONTENT)
    assert (tmp_path / "config.yaml").read_text() == moved
    other = CONTENT | {"data.train": {"images": 9, "names": "a"}}
    with pytest.raises(GenspotError, match=r"train=/new/train, now /old/train .8 images, now"):
        save_config(tmp_path, SETS, "auto", content=other)
    with pytest.raises(GenspotError, match=r"data.train holds 8 images, now 9"):
        save_config(tmp_path, moved, "auto", content=other)
    with pytest.raises(GenspotError, match=r"data.val=/new/val, now /old/val"):  # none is known
        save_config(tmp_path, SETS, "auto")


def test_training_does_not_go_on_from_weights_that_it_did_not_start_from(tmp_path: Path) -> None:
    save_config(tmp_path, SETS, "auto", content=CONTENT)
    (tmp_path / "last.ckpt").touch()
    given = SETS + "model: {weights: /a.pth}\n"
    weights = {"model.weights": {"sha256": "c"}}
    with pytest.raises(GenspotError, match=r"model\.weights=not set, now /a\.pth"):
        save_config(tmp_path, given, "auto", content=CONTENT | weights)
    (tmp_path / "last.ckpt").unlink()
    save_config(tmp_path, given, "auto", content=CONTENT | weights)
    (tmp_path / "last.ckpt").touch()
    save_config(tmp_path, given, "auto", content=CONTENT | weights)
    with pytest.raises(GenspotError, match=r"model\.weights=/a\.pth, now not set"):
        save_config(tmp_path, SETS, "auto", content=CONTENT)


def test_without_a_record_of_the_images_their_paths_must_agree(tmp_path: Path) -> None:
    save_config(tmp_path, SETS, "auto")
    (tmp_path / "last.ckpt").touch()
    save_config(tmp_path, SETS, "auto", content=CONTENT)
    (tmp_path / "content.json").unlink()
    with pytest.raises(GenspotError, match=r"data.train=/old/train, now /new/train"):
        save_config(tmp_path, SETS.replace("/old", "/new"), "auto", content=CONTENT)


def test_save_config_removes_stale_results_and_on_never_checkpoints(tmp_path: Path) -> None:
    results = ("metrics.json", "scores.parquet", "validation.parquet", "report.html")
    checkpoints = ("last.ckpt", "previous.ckpt", "best.ckpt")
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    for resume in ("auto", "never"):
        for name in results + checkpoints:
            (tmp_path / name).touch()
        save_config(tmp_path, "seed: 1\n", resume)
        assert not any((tmp_path / name).exists() for name in results)
        assert all((tmp_path / name).exists() == (resume == "auto") for name in checkpoints)
    (tmp_path / "last.ckpt").touch()
    save_config(tmp_path, "seed: 2\n", "never")
    assert (tmp_path / "config.yaml").read_text() == "seed: 2\n"


def test_save_config_on_another_rank_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "1")
    save_config(tmp_path / "run", "seed: 1\n", "auto")
    assert not (tmp_path / "run").exists()


def finish(folder: Path, config: str, content: dict[str, Any]) -> None:
    save_config(folder, config, "auto", content=content)
    for name in ("best.ckpt", "scores.parquet", "report.html"):
        (folder / name).touch()
    (folder / "metrics.json").write_text("{}")


@pytest.mark.parametrize(
    "missing", ["config.yaml", "best.ckpt", "metrics.json", "scores.parquet", "report.html"]
)
def test_run_is_complete_with_all_its_files(missing: str, tmp_path: Path) -> None:
    finish(tmp_path, OLD, CONTENT)
    assert load_if_complete(tmp_path, OLD, "auto") == {}
    assert load_if_complete(tmp_path, OLD + "workers: 2\n", "auto") == {}
    assert load_if_complete(tmp_path, OLD, "never") is None
    assert load_if_complete(tmp_path, OLD.replace("4", "6"), "auto") is None
    (tmp_path / missing).unlink()
    assert load_if_complete(tmp_path, OLD, "auto") is None


def test_run_with_moved_images_is_complete_once_they_are_known(tmp_path: Path) -> None:
    finish(tmp_path, SETS, CONTENT)
    moved = SETS.replace("/old", "/new")
    assert load_if_complete(tmp_path, SETS, "auto") == {}
    assert load_if_complete(tmp_path, moved, "auto") is None
    assert load_if_complete(tmp_path, moved, "auto", CONTENT) == {}
    other = CONTENT | {"data.val": {"images": 4, "names": "c"}}
    assert load_if_complete(tmp_path, moved, "auto", other) is None


def test_test_is_complete_if_its_checkpoint_has_the_same_content(tmp_path: Path) -> None:
    tested = {"checkpoint": {"sha256": "a"}}
    finish(tmp_path, "checkpoint: /old.ckpt\n", tested)
    (tmp_path / "best.ckpt").unlink()
    for path in ("old", "new"):
        config = f"checkpoint: /{path}.ckpt\n"
        assert load_if_complete(tmp_path, config, "auto", tested) == {}
        retrained = {"checkpoint": {"sha256": "b"}}
        assert load_if_complete(tmp_path, config, "auto", retrained) is None
    with pytest.raises(GenspotError, match=r"checkpoint=/old\.ckpt, now /new\.ckpt .another"):
        save_config(tmp_path, config, "auto", content=retrained)


def test_test_of_a_checkpoint_that_was_replaced_in_place_is_refused(tmp_path: Path) -> None:
    config = "checkpoint: /old.ckpt\n"
    finish(tmp_path, config, {"checkpoint": {"sha256": "a"}})
    with pytest.raises(GenspotError, match=r"finished run.*: checkpoint holds another content"):
        save_config(tmp_path, config, "auto", content={"checkpoint": {"sha256": "b"}})
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "last.ckpt"])
def test_results_and_checkpoints_without_a_config_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    for refuse in (check_config, save_config):
        with pytest.raises(GenspotError, match=r"without config\.yaml, which says how.* remove"):
            refuse(tmp_path, OLD, "auto")
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("error", [GenspotError("wrong"), ShutdownRequested(15)])
def test_folder_is_removed_at_an_error_if_nothing_in_it_is_of_use(
    error: BaseException, tmp_path: Path
) -> None:
    for name in ("worthless", "useful", "user"):
        folder = tmp_path / name
        save_config(folder, OLD, "auto", content=CONTENT)
        (folder / "genspot.log").write_text("[INFO] - training\n")
        if name == "useful":
            (folder / "last.ckpt").touch()
        if name == "user":
            (folder / "notes").mkdir()
        with pytest.raises(type(error)), lock_run_folder(folder):
            raise error
    assert not can_continue(tmp_path / "worthless")
    assert can_continue(tmp_path / "useful")
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["useful", "user"]


def test_folder_of_another_run_is_not_touched(tmp_path: Path) -> None:
    """Another process has locked it; this one has locked none."""
    save_config(tmp_path, OLD, "auto")
    with FileLock(tmp_path / ".lock"):
        before = sorted(file.name for file in tmp_path.iterdir())
        with pytest.raises(GenspotError, match="another run"), lock_run_folder(tmp_path):
            pass
        remove_worthless_folders()
    assert sorted(file.name for file in tmp_path.iterdir()) == before
