"""Trainings: what they leave, that they repeat to the bit, and that studies' data sets run."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from helpers.images import save_set
from helpers.runs import assert_same_training, read_csv, read_logits, read_metrics
from helpers.settings import tiny, with_model
from helpers.tasks import composed, run_task

FLAT = "{_target_: torch.nn.Flatten}"
LINEAR = "{_target_: torch.nn.Linear, in_features: 3072, out_features: 1}"
LINE_MODEL = f"""
name: line
input: {{name: pixels, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}}
backbone: {{_target_: torch.nn.Sequential, _args_: [{FLAT}, {LINEAR}]}}
trainable: all
train: {{resize: null, crop: 32}}
test: {{resize: null, crop: 32}}
"""


def test_train_leaves_all_files_and_no_partial_ones(trained: Path) -> None:
    files = {path.name for path in trained.iterdir()}
    expected = {"config.yaml", "scores.parquet", "metrics.json", "report.html", "unreadable.csv"}
    assert expected | {"best.ckpt", "last.ckpt", "metrics.csv", "validation.parquet"} <= files
    assert not [name for name in files if name.endswith(".partial")]


def test_train_writes_the_report_page_last(trained: Path) -> None:
    """Its presence marks a complete run; loggers write after it."""
    others = (".log", ".csv", ".lock")
    files = [path for path in trained.rglob("*") if not path.name.endswith(others)]
    newest = max(filter(Path.is_file, files), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name == "report.html"


def test_train_scores_each_readable_test_image_once(trained: Path, sets: Path) -> None:
    table = pq.read_table(trained / "scores.parquet")
    assert table.column_names == ["path", "generator", "class", "label", "logit", "padded"]
    files = [str(path) for path in (sets / "test").rglob("*.png") if path.name != "broken.png"]
    assert sorted(table["path"].to_pylist()) == sorted(files)
    assert table["label"].to_pylist() == ["1_fake" in path for path in table["path"].to_pylist()]


def test_train_metrics_follow_from_the_scores(trained: Path) -> None:
    table = pq.read_table(trained / "scores.parquet")
    figures = read_metrics(trained)["generators"]["mine"]
    expected = average_precision_score(table["label"].to_numpy(), table["logit"].to_numpy())
    assert figures["ap"] == pytest.approx(expected, abs=1e-6)
    assert (figures["images"], figures["real"], figures["fake"]) == (14, 8, 6)
    assert (figures["padded"], figures["unreadable"]) == (1, 1)


def test_train_lists_unreadable_images_of_tests_and_training(trained: Path) -> None:
    broken, torn = read_csv(trained / "unreadable.csv")
    assert broken["path"].endswith("broken.png")
    assert "UnidentifiedImageError" in broken["reason"]
    assert torn["path"].endswith("torn.png")
    assert read_metrics(trained)["unreadable_in_training"] == 1


def test_train_records_versions_and_commit(trained: Path) -> None:
    metrics = read_metrics(trained)
    assert {"python", "torch", "numpy"} <= metrics["versions"].keys()
    assert metrics["commit"] is None or len(metrics["commit"].rstrip("+")) == 12


def test_train_repeats_to_the_bit_with_worker_processes(
    sets: Path, trained: Path, tmp_path: Path
) -> None:
    folder = run_task(*tiny(sets), "workers=2", folder=tmp_path / "run")
    assert_same_training(folder, trained)


def test_train_on_packed_images_gives_the_same_bits(
    sets: Path, trained: Path, tmp_path: Path
) -> None:
    run_task("task=pack", *tiny(sets), folder=tmp_path / "pack")
    settings = [*tiny(sets), "data.format=packed"]
    assert_same_training(run_task(*settings, folder=tmp_path / "run"), trained)


def test_train_in_a_complete_folder_trains_nothing(sets: Path, trained: Path) -> None:
    before = (trained / "best.ckpt").stat().st_mtime_ns
    run_task(*tiny(sets), folder=trained)
    assert (trained / "best.ckpt").stat().st_mtime_ns == before


def test_train_with_a_model_of_the_users_own_config(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "line.yaml").write_text(LINE_MODEL)
    settings = with_model(tiny(sets), "line", tmp_path)
    trained = run_task(*settings, folder=tmp_path / "run")
    # The checkpoint names its model, and that config builds it; nothing is built from the file.
    test = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=folder", "workers=0"]
    test += [f"test_set.path={sets}/test", f"hydra.searchpath=[file://{tmp_path}]"]
    again = run_task(*test, folder=tmp_path / "again")
    assert read_logits(again) == read_logits(trained)


def test_train_on_a_random_class_says_so(sets: Path, tmp_path: Path) -> None:
    settings = [*tiny(sets), "data.num_classes=1", "schedule.max_epochs=1"]
    trained = run_task(*settings, folder=tmp_path / "run")
    metrics = read_metrics(trained)
    assert (metrics["trained_on"]["data"], metrics["trained_on"]["num_classes"]) == ("folder", 1)
    assert metrics["title"] == "best.ckpt, trained on folder, 1 random class"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released folders with one or two tiny images in each, with ProGAN's 20 classes."""
    folder = tmp_path_factory.mktemp("release")
    with composed("data=progan_20cls", f"paths.test={folder}/test", folder=folder) as cfg:
        for number, name in enumerate(cfg.data.classes):
            for split in ("train", "val"):
                save_set(folder / split / name, 1, 1, seed=number)
        for number, spec in enumerate(cfg.generator.values()):
            for name in spec.classes or [""]:
                save_set(Path(spec.path) / name, 1, 1, seed=50 + number)
    return folder


def test_train_runs_the_published_experiment(release: Path, tmp_path: Path) -> None:
    """Small and short, but schedule, model and generators are the published ones."""
    settings = ["data=progan_20cls", "aug=blur_jpg_0.5", "model.backbone.weights=null"]
    settings += [f"paths.{split}={release}/{split}" for split in ("train", "val", "test")]
    settings += ["model.train={resize: 40, crop: 32}", "schedule.max_epochs=1", "workers=0"]
    settings += ["schedule.batch_size=20", "bootstrap.replicates=10", "trainer=cpu"]
    metrics = read_metrics(run_task(*settings, folder=tmp_path / "run"))
    assert len(metrics["generators"]) == 13
    assert metrics["generators"]["progan"]["images"] == 40
    assert metrics["generators"]["cyclegan"]["images"] == 12
    assert metrics["generators"]["imle"]["published"]["ap"] == 0.995
    assert metrics["mean"]["published"]["ap"] == pytest.approx(0.908, abs=0.01)


def test_train_builds_the_embedded_data_and_its_checkpoint_knows_its_generators(
    tmp_path: Path,
) -> None:
    sizes = "simulation={size: 64, train: 24, val: 8, test: 6, seed: 0}"
    small = [sizes, f"paths.datasets={tmp_path}/datasets", "workers=0"]
    settings = ["experiments=quickstart", "schedule.max_epochs=1", *small]
    settings += ["model.train.crop=32", "model.test.crop=64"]
    trained = run_task(*settings, folder=tmp_path / "run")
    metrics = read_metrics(trained)
    assert len(metrics["generators"]) == 7
    assert {figures["images"] for figures in metrics["generators"].values()} == {12}
    baselines = [one["shortcut_baseline_ap"] for one in metrics["generators"].values()]
    assert None not in baselines
    test = ["task=test", f"checkpoint={trained}/best.ckpt", *small]
    assert read_logits(run_task(*test, folder=tmp_path / "test")) == read_logits(trained)


def test_train_records_the_working_directory_as_root(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with composed(*tiny(sets), folder=tmp_path / "run") as cfg:
        assert Path(cfg.paths.datasets) == tmp_path / "datasets"
        assert Path(cfg.paths.runs) == Path(os.getcwd()) / "runs"
