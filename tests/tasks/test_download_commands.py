"""What a message on missing data offers, and the command that follows a download."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from genspot.common.quantities import size_text
from genspot.data.settings import TestSet, TrainingSet
from genspot.data.sources import require_images
from genspot.tasks import config
from genspot.tasks.download_commands import next_command
from helpers.errors import error_of
from helpers.images import save_set
from helpers.settings import ROOT
from helpers.tasks import composed

GB = 10**9


def sources(folder: Path, *overrides: str) -> tuple[TrainingSet, list[TestSet]]:
    with composed(f"paths.root={folder}", *overrides, folder=ROOT) as cfg:
        config.check_settings(cfg)
        return config.training_set(cfg), config.test_sets(cfg)


@pytest.fixture(autouse=True)
def free_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genspot.tasks.download_commands.free_space", lambda path: 812 * GB)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # 74.924 GB + 0.831 GB, and parts of twentieths
        (
            "progan_20cls",
            "about 75.8 GB to transfer and 152 GB of disk, or 75.8 GB with archives=",
        ),
        ("progan_4cls", "about 15.2 GB to transfer and about 15.2 GB of disk"),
        ("progan_2cls", "about 7.58 GB to transfer and about 7.58 GB of disk"),
    ],
)
def test_missing_training_data_name_command_gigabytes_and_free_disk(
    tmp_path: Path, data: str, expected: str
) -> None:
    training, tests = sources(tmp_path, f"data={data}")
    message = error_of(require_images, training, tests)
    command = f"python run.py task=download data={data} paths.root={tmp_path}"
    start = f"no data for {data}: no folder {tmp_path}/datasets/train. {command} fetches it: "
    assert message.startswith(start + expected)
    assert "and the missing test sets, at most 20.1 GB (generator=[] leaves them out)" in message
    assert f"812 GB are free in {tmp_path}/datasets" in message


def test_offer_keeps_the_settings_of_the_data_and_counts_the_drawn_classes(tmp_path: Path) -> None:
    settings = ("data=progan_20cls", "data.num_classes=2", "seed=3", "aug=none", "generator=[]")
    training, _ = sources(tmp_path, *settings)
    command, _, rest = training.offer.partition(" fetches it: about ")
    assert shlex.split(command) == [
        *("python", "run.py", "task=download", "data=progan_20cls"),
        *(f"paths.root={tmp_path}", "data.num_classes=2", "seed=3"),
    ]
    assert rest.startswith("7.58 GB") and "test sets" not in rest


def test_offer_is_made_for_class_folders_that_are_missing(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("car", "cat", "chair"):
            save_set(tmp_path / "datasets" / split / name, 1, 1)
    training, _ = sources(tmp_path, "data=progan_4cls")
    message = error_of(require_images, training, [])
    assert message.startswith(
        f"no data for progan_4cls: {tmp_path}/datasets/train lacks the class folders horse. python"
    )
    for split in ("train", "val"):
        save_set(tmp_path / "datasets" / split / "horse", 1, 1)
    assert sources(tmp_path, "data=progan_4cls")[0].offer == ""


def test_missing_test_sets_are_in_one_command(tmp_path: Path) -> None:
    save_set(tmp_path / "datasets/test/san", 1, 1)
    _, tests = sources(tmp_path, "data=simulated", "generator=[sitd,san,crn]")
    message = error_of(require_images, None, tests)
    command = f"python run.py task=download 'generator=[sitd,crn]' paths.root={tmp_path}"
    assert f"{command} fetches that from an archive of 20.1 GB; 812 GB are free" in message
    assert "generator=[san]. " in message


@pytest.mark.parametrize(
    "settings",
    [
        ("data=simulated",),
        ("data=folder", "data.train=a", "data.val=b"),
        ("data=cyclegan",),
        ("data=progan_4cls", "data.train={real: a, fake: b}"),
    ],
)
def test_no_command_is_offered_for_what_nobody_publishes(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    assert sources(tmp_path, *settings)[0].offer == ""


def test_offer_of_own_config_folder_names_it(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "data"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("defaults: [progan_20cls]\nname: mine\nclasses: [car]\n")
    (tmp_path / "conf/download").mkdir()
    entry = (ROOT / "conf/download/progan_val.yaml").read_text()
    entry = entry.replace("progan_1cls", "mine").replace("progan_val.zip", "own.zip")
    (tmp_path / "conf/download/mine.yaml").write_text(entry)
    path = f"hydra.searchpath=['file://{tmp_path / 'conf'}']"
    training, _ = sources(tmp_path, path, "data=mine", "generator=[]")
    assert f"python run.py --config-dir={tmp_path / 'conf'} task=download data=mine" in (
        training.offer
    )
    assert f"about {size_text(830_792_545 / 20)}" in training.offer


@pytest.mark.parametrize(
    ("overrides", "training", "expected"),
    [
        (
            ("data=progan_4cls", "archives=none", "recheck=true", "aug=none"),
            True,
            ["data=progan_4cls", "aug=none"],
        ),
        (
            ("generator=[sitd,san]", "quiet=true"),
            False,
            ["task=test", "checkpoint=published/blur_jpg_0.5", "generator=[sitd,san]"],
        ),
        (
            ("generator=[san]", "checkpoint=best.ckpt"),
            False,
            ["task=test", "generator=[san]", "checkpoint=best.ckpt"],
        ),
        (("all=true",), True, ["data=progan_20cls"]),
        (("all=true", "data.format=packed"), True, ["data=progan_20cls", "data.format=packed"]),
        (
            ("data=progan_4cls", "checkpoint=best.ckpt", "hydra.run.dir=a"),
            True,
            ["task=test", "data=progan_4cls", "checkpoint=best.ckpt"],
        ),
    ],
)
def test_next_command_uses_what_was_fetched(
    overrides: tuple[str, ...], training: bool, expected: list[str]
) -> None:
    with composed("task=download", *overrides, folder=ROOT) as cfg:
        found = next_command(cfg, training)
    assert found == ["python", "run.py", *expected]


def test_no_command_follows_a_download_without_test_sets() -> None:
    with composed("task=download", "data=progan_4cls", "generator=[]", folder=ROOT) as cfg:
        assert next_command(cfg, training=True) == []
