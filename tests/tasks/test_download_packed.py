"""task=download data.format=packed: from the servers' archives into the packed copy."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from genspot.data import image_io
from genspot.data.packed.reader import open_packed
from genspot.data.settings import Classes
from genspot.download.directory import read_directory
from genspot.download.progress import Progress
from genspot.download.source import LocalFile
from genspot.tasks import download_packed
from helpers.archives import label_folder_images, zip_bytes
from helpers.errors import error_of
from helpers.member_sets import write_files
from helpers.published_release import CLASSES, Release, published_release
from helpers.runs import assert_same_training
from helpers.settings import SEARCH_PATH
from helpers.small_disks import small_disk

PACKED = ("data=mini", "data.format=packed", "generator=[]")  # two of the three classes
WHOLE = ("data=mini_all", "data.format=packed", "generator=[]")
QUICK = (SEARCH_PATH, "model=small", "schedule=quick", "schedule.max_epochs=1", "trainer=cpu")
QUICK += ("schedule.batch_size=8", "workers=0", "generator=[mini_a]")


@pytest.fixture(scope="module")
def members() -> dict[str, dict[str, bytes]]:
    return {
        "train": label_folder_images(CLASSES, 8, 64),
        "val": label_folder_images(CLASSES, 3, 64),
        "test": label_folder_images(("mini_a", "mini_b/car", "mini_b/cat"), 4, 64),
    }


@pytest.fixture
def release(tmp_path: Path, members: dict[str, dict[str, bytes]]) -> Iterator[Release]:
    with published_release(tmp_path, members) as release:
        yield release


def done(result: tuple[int, str]) -> str:
    assert result[0] == 0, result[1]
    return result[1]


def refused(result: tuple[int, str]) -> str:
    """Return the last line of a run that failed with one line."""
    assert result[0] == 1 and "Traceback" not in result[1], result[1]
    return result[1].strip().splitlines()[-1]


def assert_packed(release: Release, split: str, classes: Classes) -> None:
    """The copy has the members of the classes, in their order and with their pixels."""
    root = release.root / "datasets" / split
    listing, read = open_packed(root, "gan", classes)
    paths = [Path(path).relative_to(root).as_posix() for path in listing.table["path"].to_pylist()]
    assert isinstance(classes, list)
    expected = sorted(name for name in release.members[split] if name.split("/")[0] in classes)
    assert paths == expected
    assert listing.table["label"].to_pylist() == ["1_fake" in path for path in paths]
    for row, name in enumerate(paths):
        pixels = image_io.read_bytes(name, release.members[split][name], with_pil=True)
        assert np.array_equal(read(row), pixels)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("choice", [PACKED, WHOLE], ids=["ranges", "whole"])
def test_download_packs_the_classes_and_writes_no_image_files(
    release: Release, choice: tuple[str, ...]
) -> None:
    output = done(release.run(*choice))
    classes = ["car", "cat"] if choice is PACKED else list(CLASSES)
    for split in ("train", "val"):
        assert_packed(release, split, classes)
    assert not [name for name in files_below(release.root / "datasets") if name.endswith(".png")]
    assert output.count(".packed\n") == 2 and "next:" not in output  # without a test set
    release.servers.forget()
    done(release.run(*choice))
    assert release.servers.served() == 0


def test_pack_after_a_download_finds_the_copy_complete(release: Release) -> None:
    done(release.run(*PACKED))
    output = done(release.run(*PACKED[:1], "task=pack"))
    for split, images in (("train", 32), ("val", 12)):
        copy = f"{release.root}/datasets/{split}.packed"
        assert f"{copy} holds {images} images, 0 of them unreadable; verified" in output


@pytest.mark.slow
def test_training_on_a_downloaded_copy_gives_the_bits_of_the_files(release: Release) -> None:
    done(release.run("data=mini", "generator=[mini_a]", "data.format=packed"))
    runs = [f"hydra.run.dir={release.root}/{name}" for name in ("packed", "files")]
    done(release.run("task=train", "data=mini", "data.format=packed", *QUICK, runs[0]))
    for split in ("train", "val"):
        write_files(release.members[split], release.root / "datasets" / split)
        shutil.rmtree(release.root / "datasets" / f"{split}.packed")
    done(release.run("task=train", "data=mini", *QUICK, runs[1]))
    assert_same_training(release.root / "packed", release.root / "files")


def test_run_without_its_copy_names_the_command_that_fetches_it(release: Release) -> None:
    write_files(release.members["test"], release.root / "datasets" / "test")
    line = refused(release.run("task=train", "data=mini", "data.format=packed", *QUICK))
    assert f"no packed copy of {release.root}/datasets/train/car/0_real. python run.py" in line
    assert "task=download data=mini data.format=packed" in line and "fetches it" in line
    line = refused(release.run("task=pack", "data=mini"))
    assert "task=download data=mini" in line


def test_download_beside_image_files_of_the_class_is_refused(release: Release) -> None:
    write_files(release.members["train"], release.root / "datasets" / "train", ["cat/0_real"])
    line = refused(release.run(*PACKED))
    assert f"{release.root}/datasets/train/cat holds folders of image files" in line
    shutil.rmtree(release.root / "datasets" / "train" / "cat")
    write_files(release.members["train"], release.root / "datasets" / "train", ["dog"])
    done(release.run(*PACKED))
    assert_packed(release, "train", ["car", "cat"])


def test_archives_are_removed_after_all_is_packed(release: Release) -> None:
    done(release.run(*WHOLE, "archives=remove"))
    assert_packed(release, "train", list(CLASSES))
    left = files_below(release.root / "datasets" / "downloads")
    assert not [name for name in left if name[-4:-2] == ".0" or name.endswith(".zip")]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_download_continues_after_its_last_shard(
    tmp_path: Path, members: dict[str, dict[str, bytes]], how: signal.Signals
) -> None:
    large = {**members, "train": label_folder_images(CLASSES, 60, 160)}
    with published_release(tmp_path, large, pause=0.05) as release:
        needed = release.bytes_of("train", "car", "cat")
        copy = tmp_path / "datasets" / "train.packed"
        code, output = release.kill_when(
            lambda: len(list(copy.glob("*/*/index.arrow.gz"))) >= 2, *PACKED, how=how
        )
        assert code == (-9 if how == signal.SIGKILL else 128 + how), output
        assert "Traceback" not in output
        complete = len(list(copy.glob("*/*/index.arrow.gz")))
        assert 2 <= complete < 4
        release.servers.forget()
        release.servers.pause = 0
        done(release.run(*PACKED))
        assert_packed(release, "train", ["car", "cat"])
        served = sum(release.servers.served(name) for name in release.files("train"))
        assert served < needed * (1.1 - complete / 4) + 100_000  # directory and samples


@pytest.mark.slow
def test_two_downloads_at_once_pack_each_image_once(release: Release) -> None:
    release.servers.pause = 0.05
    processes = [release.start(*PACKED) for _ in range(2)]
    outputs = [done(release.finish(process)) for process in processes]
    assert sum("train images: car, cat\t32\t0" in output for output in outputs) == 1
    assert sum("train images: car, cat\t0\t32" in output for output in outputs) == 1
    assert_packed(release, "train", ["car", "cat"])


@pytest.mark.slow
def test_download_checks_the_disk_for_decoded_images(
    tmp_path: Path, members: dict[str, dict[str, bytes]]
) -> None:
    with (
        published_release(tmp_path, members) as release,
        small_disk(tmp_path / "disk", 300_000),
    ):
        line = refused(release.run(*PACKED, f"paths.train={tmp_path}/disk/train"))
        # 32 images of 64 × 64 pixels.
        assert f"{tmp_path}/disk" in line and "397 kB" in line
        assert not files_below(tmp_path / "disk" / "train.packed" / "car")


def make_missing(tmp_path: Path, members: dict[str, bytes]) -> tuple[LocalFile, object]:
    content = zip_bytes(members)
    file = tmp_path / "a.zip"
    file.write_bytes(content)
    source = LocalFile(file, len(content))
    return source, read_directory(source, tmp_path, "a.zip")


def test_need_estimates_the_size_of_the_copy(
    tmp_path: Path, members: dict[str, dict[str, bytes]]
) -> None:
    source, directory = make_missing(tmp_path, label_folder_images(["cat"], 20, 128))
    missing = download_packed.find_missing(directory, tmp_path / "train")
    size = download_packed.need(source, missing)
    with download_packed.lock_copy(tmp_path / "train"), Progress("", 1, quiet=True) as progress:
        packed = download_packed.pack(source, missing, 2, progress, lambda: None)
    assert packed.written == 40 and packed.present == 0
    assert packed.bytes == pytest.approx(size, rel=0.02)
    assert progress.checked == missing.members.stored
    again = download_packed.find_missing(directory, tmp_path / "train")
    assert len(again.members) == 0 and download_packed.need(source, again) == 0


@pytest.mark.slow
def test_full_disk_names_the_copy_and_keeps_what_is_complete(tmp_path: Path) -> None:
    source, directory = make_missing(tmp_path, label_folder_images(["cat", "dog"], 20, 128))
    root = tmp_path / "disk" / "train"
    with small_disk(tmp_path / "disk", 3 * 10**6):
        missing = download_packed.find_missing(directory, root)
        arguments = (source, missing, 2, Progress("", 1, quiet=True), lambda: None)
        with download_packed.lock_copy(root):
            message = error_of(download_packed.pack, *arguments)
        assert "no space left" in message.lower() and str(root) in message
        assert 0 < len(download_packed.find_missing(directory, root).members) < 80
        assert not list(root.parent.rglob("*.partial"))
