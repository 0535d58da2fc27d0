"""Runs that continue: with other workers, more epochs, moved folders; and those that do not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from genspot.common.errors import GenspotError
from helpers.runs import assert_same_training, read_csv, read_logits, read_metrics
from helpers.settings import tiny
from helpers.tasks import run_task

# The learning rate of schedule=quick is laid out over the number of epochs.
CONSTANT = ["schedule.lr_scheduler=null"]
EARLY = ["callbacks=[checkpoint,early_stopping]", "+callbacks.early_stopping.min_delta=1"]


def epochs_of(folder: Path) -> int:
    return int(torch.load(folder / "last.ckpt", weights_only=True)["epoch"]) + 1


def forget_results(folder: Path) -> None:
    """Leave what a training leaves that is killed in its test."""
    for name in ("metrics.json", "report.html", "scores.parquet"):
        (folder / name).unlink()


def copy_of(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place))


@pytest.fixture(scope="module")
def short(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of two epochs at a constant learning rate."""
    return run_task(*tiny(sets), *CONSTANT, folder=tmp_path_factory.mktemp("short") / "run")


@pytest.fixture(scope="module")
def long(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of three epochs."""
    folder = tmp_path_factory.mktemp("long") / "run"
    return run_task(*tiny(sets), *CONSTANT, "schedule.max_epochs=3", folder=folder)


def test_finished_training_is_prolonged_to_the_bits_of_a_longer_one(
    short: Path, long: Path, sets: Path, tmp_path: Path
) -> None:
    """In a copy of its folder, with other workers and without a logger's setting."""
    folder = copy_of(short, tmp_path / "it's a copy")
    settings = [*tiny(sets), *CONSTANT, "schedule.max_epochs=3", "workers=1"]
    run_task(*settings, "trainer.log_every_n_steps=2", folder=folder)
    assert_same_training(folder, long)


def test_training_under_schedule_step_is_prolonged_to_the_bits_of_a_longer_one(
    sets: Path, tmp_path: Path
) -> None:
    """Its rates do not depend on the number of epochs."""
    chosen = [one for one in tiny(sets) if one != "schedule=quick"]
    settings = [*chosen, "schedule=step", "schedule.lr_scheduler.every=1"]
    run_task(*settings, folder=tmp_path / "run")
    run_task(*settings, "schedule.max_epochs=3", folder=tmp_path / "run")
    run_task(*settings, "schedule.max_epochs=3", folder=tmp_path / "undisturbed")
    assert_same_training(tmp_path / "run", tmp_path / "undisturbed")


def test_training_with_dropout_is_prolonged_to_the_bits_of_a_longer_one(
    sets: Path, tmp_path: Path
) -> None:
    model = ["model=small_cnn_laplacian", "model.train.crop=32", "model.test.crop=32"]
    settings = [*tiny(sets), *CONSTANT, *model]
    run_task(*settings, "workers=1", folder=tmp_path / "run")
    run_task(*settings, "schedule.max_epochs=3", folder=tmp_path / "run")
    run_task(*settings, "schedule.max_epochs=3", folder=tmp_path / "undisturbed")
    assert_same_training(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["seed=1"], r"holds a finished run with other settings: seed=0, now 1\. Give the old"),
        (
            [*CONSTANT, "schedule.batch_size=4"],
            r"settings: schedule\.batch_size=8, now 4; schedule\.lr_scheduler",
        ),
        (["schedule.max_epochs=3"], "schedule=quick is laid out over the number of epochs"),
        (["data.num_classes=1"], "data.num_classes=null, now 1"),
        (["callbacks=[checkpoint,early_stopping]"], "callbacks.early_stopping"),
    ],
)
def test_settings_that_change_results_are_refused_before_data_are_read(
    settings: list[str], message: str, trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder = copy_of(trained, tmp_path / "run")
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    with pytest.raises(GenspotError, match=message):
        run_task(*tiny(sets), *settings, "data.train=nowhere", folder=folder)
    assert before == {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_fewer_epochs_than_were_done_are_refused(short: Path, sets: Path, tmp_path: Path) -> None:
    folder = copy_of(short, tmp_path / "run")
    with pytest.raises(GenspotError, match="max_epochs=2, now 1: 2 epochs have started already"):
        run_task(*tiny(sets), *CONSTANT, "schedule.max_epochs=1", folder=folder)


def test_training_continues_where_folder_and_images_were_moved(
    short: Path, long: Path, sets: Path, tmp_path: Path
) -> None:
    """Its best checkpoint stays the best, and nothing happens at the old place."""
    old, new = copy_of(short, tmp_path / "old"), tmp_path / "new"
    moved_sets = copy_of(sets, tmp_path / "moved sets")
    forget_results(old)
    copy_of(old, new)
    before = {file.name: file.stat().st_mtime_ns for file in old.iterdir()}
    settings = [item.replace(str(sets), f"'{tmp_path}/moved sets'") for item in tiny(sets)]
    settings = [item.replace("sets'/", "sets/") + "'" * ("sets'/" in item) for item in settings]
    run_task(*settings, *CONSTANT, "schedule.max_epochs=3", folder=new)
    assert before == {file.name: file.stat().st_mtime_ns for file in old.iterdir()}
    logits = {path.replace(str(moved_sets), ""): x for path, x in read_logits(new).items()}
    expected = {path.replace(str(sets), ""): x for path, x in read_logits(long).items()}
    assert logits == expected
    best = torch.load(new / "best.ckpt", weights_only=True)["state_dict"]
    for name, value in torch.load(long / "best.ckpt", weights_only=True)["state_dict"].items():
        assert torch.equal(best[name], value), name


def test_complete_training_with_moved_images_is_not_repeated(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder, moved = copy_of(trained, tmp_path / "run"), copy_of(sets, tmp_path / "sets")
    before = (folder / "metrics.json").stat().st_mtime_ns
    run_task(*tiny(moved), folder=folder)
    assert (folder / "metrics.json").stat().st_mtime_ns == before


def test_other_images_at_a_new_or_the_same_place_are_refused(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder, other = copy_of(trained, tmp_path / "run"), copy_of(sets, tmp_path / "sets")
    next((other / "train").rglob("*.png")).unlink()
    message = r"data\.train=.*/train, now .*/train .34 images, now 33"
    with pytest.raises(GenspotError, match=f"a finished run.*{message}"):
        run_task(*tiny(other), folder=folder)
    forget_results(folder)
    with pytest.raises(GenspotError, match=f"an interrupted training.*{message}"):
        run_task(*tiny(other), folder=folder)
    assert (folder / "last.ckpt").exists()


@pytest.mark.parametrize("patience", [1, 3])
def test_early_stopped_training_killed_in_its_test_is_only_tested(
    patience: int, sets: Path, tmp_path: Path
) -> None:
    settings = [*tiny(sets), *CONSTANT, *EARLY, "schedule.max_epochs=9"]
    settings += [f"callbacks.early_stopping.patience={patience}"]
    whole = run_task(*settings, folder=tmp_path / "whole")
    assert epochs_of(whole) == patience + 1
    killed = copy_of(whole, tmp_path / "killed")
    forget_results(killed)
    (killed / "best.ckpt").touch()
    before = (killed / "last.ckpt").stat().st_mtime_ns
    run_task(*settings, "schedule.max_epochs=12", folder=killed)  # which stays ended
    assert (killed / "last.ckpt").stat().st_mtime_ns == before
    assert_same_training(killed, whole)


def test_more_patience_prolongs_an_early_stopped_training(sets: Path, tmp_path: Path) -> None:
    settings = [*tiny(sets), *CONSTANT, *EARLY, "schedule.max_epochs=9"]
    folders = {}
    for patience in (1, 2):
        folders[patience] = run_task(
            *settings,
            f"callbacks.early_stopping.patience={patience}",
            folder=tmp_path / str(patience),
        )
    more = [*settings, "callbacks.early_stopping.patience=2"]
    assert_same_training(run_task(*more, folder=folders[1]), folders[2])


def test_training_at_its_last_epoch_killed_before_its_test_is_only_tested(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder = copy_of(trained, tmp_path / "run")
    forget_results(folder)
    before = (folder / "last.ckpt").stat().st_mtime_ns
    run_task(*tiny(sets), folder=folder)
    assert (folder / "last.ckpt").stat().st_mtime_ns == before
    assert_same_training(folder, trained)


def test_test_of_a_moved_checkpoint_is_complete_and_of_another_refused(
    trained: Path, short: Path, sets: Path, tmp_path: Path
) -> None:
    def test_of(checkpoint: Path, images: Path) -> None:
        settings = ["task=test", f"checkpoint={checkpoint}", "generator=folder", "model=small"]
        settings += [item for item in tiny(images) if "searchpath" in item or "test_set" in item]
        run_task(*settings, "workers=0", folder=tmp_path / "test")

    test_of(trained / "best.ckpt", sets)
    metrics = tmp_path / "test" / "metrics.json"
    before = metrics.stat().st_mtime_ns
    moved = copy_of(trained, tmp_path / "moved")
    test_of(moved / "best.ckpt", copy_of(sets, tmp_path / "sets"))
    assert metrics.stat().st_mtime_ns == before
    with pytest.raises(GenspotError, match=r"checkpoint=.*now .*best\.ckpt .another content"):
        test_of(short / "best.ckpt", sets)


def test_moved_run_without_its_images_gets_a_report(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genspot.report import gallery

    folder = copy_of(trained, tmp_path / 'it\'s #1, "ü" 100%')
    # As if the images were gone: other tests need them.
    real: Callable[[Path], object] = gallery.thumbnail
    monkeypatch.setattr(gallery, "thumbnail", lambda path: real(tmp_path / "gone" / path.name))
    quoted = str(folder).replace('"', '\\"')
    report = run_task("task=report", f'runs=["{quoted}"]', folder=tmp_path / "report")
    assert "file not found" in (report / "report.html").read_text()
    assert read_csv(report / "results.csv")
    assert read_metrics(trained)["generators"]["mine"]
