"""task=download: what it prints, where images go, and that runs read them there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from genspot.tasks import download as module
from genspot.tasks.config import check_settings
from helpers.archives import label_folder_images
from helpers.cli_runner import CliRunner
from helpers.download_servers import published_files
from helpers.errors import error_of
from helpers.published_release import CLASSES, Release, published_release
from helpers.tasks import composed

WHOLE = ("data=mini_all", "generator=[]")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with published_release(tmp_path) as release:
        yield release


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    """A release whose members are images."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    members = {
        "train": label_folder_images(CLASSES, 6),
        "val": label_folder_images(CLASSES, 3),
        "test": label_folder_images(("mini_a", "mini_b/car", "mini_b/cat"), 3),
    }
    with published_release(tmp_path, members) as release:
        yield release


def download(release: Release, *overrides: str) -> None:
    """Download in this process."""
    conf = f"hydra.searchpath=['file://{release.root / 'conf'}']"
    root = f"paths.root={release.root}"
    folder = release.root / "runs/here"
    with composed("task=download", conf, root, *overrides, folder=folder) as cfg:
        check_settings(cfg)
        module.download(cfg)


def test_download_prints_the_plan_what_is_there_and_the_next_command(release: Release) -> None:
    code, output = release.run("data=mini", "generator=[mini_b]", "archives=none", "aug=none")
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0].split("\t") == ["missing", "images", "to fetch", "on disk", "free there"]
    plan = {line.split("\t")[0]: line.split("\t")[1:] for line in lines[1:4]}
    assert list(plan) == ["train images: car, cat", "val images: car, cat", "test images: mini_b"]
    assert [row[0] for row in plan.values()] == ["24", "12", "12"]
    wanted = release.bytes_of("train", "car", "cat")
    number, unit = plan["train images: car, cat"][1].split()
    assert unit == "kB" and float(number) * 1000 == pytest.approx(wanted, rel=0.02)
    assert "at 100 Mbit/s. Licence: none (https://example.org/set)." in output
    assert "train images: car, cat\t24\t0\t" in lines
    assert f"images:      {release.root}/datasets/train" in lines
    following = "data=mini 'generator=[mini_b]' aug=none"
    assert lines[-1] == f"next:        python run.py --config-dir={release.root}/conf {following}"


def test_download_of_what_is_there_prints_no_plan(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    download(release, "generator=[mini_a]")
    assert "to fetch" in capsys.readouterr().out
    download(release, "generator=[mini_a]")
    output = capsys.readouterr().out
    assert "to fetch" not in output
    assert "test images: mini_a\t0\t6\t" in output
    assert "task=test checkpoint=published/blur_jpg_0.5 " in output.splitlines()[-1]


def test_quiet_download_prints_where_the_images_are(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    download(release, "generator=[mini_a]", "quiet=true")
    assert capsys.readouterr().out.splitlines() == [f"images:      {release.root}/datasets/test"]


def test_download_names_missing_sets_that_the_table_lacks(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    download(release, "generator=[mini_a,gangen_began]")
    page = "https://github.com/chuangchuangtan/GANGen-Detection"
    assert (
        f"Not in the table of downloads, and missing: gangen_began ({page})."
        in capsys.readouterr().out
    )


def test_next_command_reads_what_was_downloaded(images: Release, run: CliRunner) -> None:
    code, output = images.run("data=mini", "generator=[mini_a,mini_b]", "quiet=false")
    assert code == 0, output
    command = shlex.split(output.splitlines()[-1].removeprefix("next:"))
    small = ["model=small_cnn_laplacian", "schedule=quick", "trainer=cpu", "logger=none"]
    sizes = ["trainer.max_epochs=1", "schedule.batch_size=8", "workers=0", "aug=none"]
    more = ["model.train.crop=32", "model.test.crop=32", "hydra.run.dir=runs/own"]
    result = run(*command[2:], *small, *sizes, *more, cwd=images.root)
    assert result.returncode == 0, result.stderr
    assert "mini_a" in result.stdout and "mini_b" in result.stdout
    assert (images.root / "runs/own/best.ckpt").is_file()


def test_packed_download_leaves_no_image_files_and_holds_every_image(
    images: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("data=mini", "generator=[]", "data.format=packed")
    download(images, *settings)
    output = capsys.readouterr().out
    assert "train images: car, cat\t24\t0\t" in output and "unreadable" not in output
    assert not list((images.root / "datasets").rglob("*.png"))
    images.servers.forget()
    download(images, *settings)
    assert "train images: car, cat\t0\t24\t" in capsys.readouterr().out
    assert images.servers.served() == 0


def test_archives_are_removed_only_if_all_of_them_is_unpacked(
    release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    downloads = release.root / "datasets/downloads"
    download(release, *WHOLE)
    download(release, "data=mini", "generator=[]", "archives=remove")
    assert "train images: kept in" in caplog.text
    assert len(list(downloads.glob("mini_train.7z.00?"))) == 7
    caplog.clear()
    download(release, *WHOLE, "archives=remove")
    assert "kept in" not in caplog.text
    assert not list(downloads.glob("mini_*.7z.00?")) and not list(downloads.glob("mini_val.zip"))


def test_archives_that_arrived_in_part_are_removed_too(release: Release) -> None:
    names = ("mini_val.zip.part", "mini_val.zip.part.chunks", "mini_train.7z.006.part")
    downloads = release.root / "datasets/downloads"
    download(release, "data=mini", "generator=[]")
    for name in names:
        (downloads / name).write_bytes(b"some")
    download(release, *WHOLE)
    assert all((downloads / name).exists() for name in names)
    download(release, *WHOLE, "archives=remove")
    assert not any((downloads / name).exists() for name in names)


def test_archives_whose_images_are_partly_there_are_not_fetched_whole(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    download(release, "data=mini", "generator=[]")
    release.servers.forget()
    download(release, *WHOLE)
    assert "Fetched as whole archives" not in capsys.readouterr().out
    assert release.servers.served() < 1.1 * (
        release.bytes_of("train", "dog") + release.bytes_of("val", "dog")
    )
    assert not release.wrong("train", *CLASSES)


def test_recheck_finds_a_byte_that_changed_in_a_complete_folder(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    download(release, "generator=[mini_a]")
    image = release.root / "datasets/test/mini_a/0_real/00001.png"
    stat, data = image.stat(), bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    capsys.readouterr()
    download(release, "generator=[mini_a]")
    assert "mini_a\t0\t6\t" in capsys.readouterr().out
    download(release, "generator=[mini_a]", "recheck=true")
    assert "mini_a\t1\t5\t" in capsys.readouterr().out
    assert not release.wrong("test", "mini_a")


def test_class_that_the_archive_lacks_is_refused_with_those_that_it_has(release: Release) -> None:
    for name in ("mini_train", "mini_val"):
        own = release.root / f"conf/download/{name}.yaml"
        own.write_text(own.read_text().replace("- dog\n", "- dog\n- cow\n"))
    message = error_of(download, release, "data=mini", "generator=[]", "data.classes=[car,cow]")
    assert message == "train images holds no file below cow/; it holds: car, cat, dog"
    assert not list((release.root / "datasets").rglob("*.png"))


def test_other_number_of_members_than_the_tables_is_said(
    release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    own = release.root / "conf/download/mini_test.yaml"
    own.write_text(own.read_text().replace("members: 18", "members: 19"))
    download(release, "generator=[mini_a]")
    assert "own directory has 18 files, the table of downloads 19" in caplog.text


# The images take 2.34 MB, their archives 1.86 MB.
@pytest.mark.parametrize(
    ("mode", "free", "is_offered"),
    [("keep", 4_000_000, True), ("keep", 1_000_000, False), ("none", 1_000_000, False)],
)
def test_disk_without_room_is_said_before_anything_starts(
    release: Release, mode: str, free: int, is_offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genspot.download.disk.free_space", lambda path: free)
    message = error_of(download, release, *WHOLE, f"archives={mode}")
    assert "are needed for" in message
    assert ("archives=none keeps no archive, and needs 1.86 MB less" in message) == is_offered
    assert not list((release.root / "datasets").rglob("*.png"))
    assert not list((release.root / "datasets").rglob("*.part"))


def test_interrupted_download_is_not_read_by_a_run(images: Release, run: CliRunner) -> None:
    settings = ("data=mini", "generator=[]")
    download(images, *settings)
    (images.root / "datasets/train/cat/0_real/.unfinished").touch()
    conf = f"--config-dir={images.root / 'conf'}"
    result = run(conf, "task=audit", *settings, cwd=images.root)
    assert result.returncode == 1
    assert "datasets/train/cat/0_real has not ended" in result.stderr.splitlines()[-1]


def test_weights_that_a_setting_names_are_fetched_too(
    release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    data = b"weights" * 1000
    with published_files({"own.pth": data}) as servers:
        entry = servers.entry("own.pth")
        about = {"kind": "weights", "title": "own", "licence": "none", "model": "resnet50"}
        file = {"name": "own.pth", "url": entry.url, "bytes": entry.size, "sha256": entry.sha256}
        own = {**about, "source": "https://example.org", "files": [file]}
        (release.root / "conf/download/own.yaml").write_text(yaml.safe_dump(own))
        cache = f"paths.weights={release.root}/cache"
        download(release, "checkpoint=published/own", cache)
        output = capsys.readouterr().out
        download(release, "model.weights=published/own", cache, "generator=[mini_a]")
        assert servers.served() == len(data)
    assert output == f"weights:     {release.root}/cache/own.pth\n"
    assert (release.root / "cache/own.pth").read_bytes() == data
    assert not release.wrong("test", "mini_a")
    message = error_of(download, release, "checkpoint=published/mine", "generator=[mini_b]")
    assert "checkpoint=published/mine: no such weights; there are " in message
