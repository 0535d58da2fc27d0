"""What label folders may not be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.common.files import UNFINISHED
from genspot.data.packed.writer import pack
from genspot.data.places import load_samples
from genspot.data.settings import Classes
from genspot.data.walk import DANGLING, LOOP
from helpers.errors import error_of
from helpers.label_folders import make_label_folders, touch


@pytest.mark.parametrize("link", ["1_fake", "1_fake/sub", "1_fake/b.png"])
def test_load_samples_refuses_images_that_are_real_and_fake(tmp_path: Path, link: str) -> None:
    make_label_folders(tmp_path / "cat", tmp_path / "dog")
    if link == "1_fake":
        (tmp_path / "cat/1_fake/a.png").unlink()
        (tmp_path / "cat/1_fake").rmdir()
    target = tmp_path / "dog/0_real" / ("b.png" if link.endswith("png") else "")
    (tmp_path / "cat" / link).symlink_to(target)
    message = error_of(load_samples, tmp_path, "gan", "any")
    assert (
        "images are in 0_real/ and in 1_fake/" in message and f"{tmp_path}/cat/1_fake" in message
    )
    assert message == error_of(pack, tmp_path, "gan", "any")


@pytest.mark.parametrize("inner", ["0_real/1_fake", "1_fake/sub/0_real"])
def test_load_samples_refuses_a_label_folder_in_a_label_folder(tmp_path: Path, inner: str) -> None:
    make_label_folders(tmp_path)
    touch(tmp_path / inner / "x.png")
    message = error_of(load_samples, tmp_path, "gan", None)
    assert message.startswith(f"gan: {tmp_path}/{inner} lies in the label folder {tmp_path}/")


@pytest.mark.parametrize("classes", ["any", None])
@pytest.mark.parametrize(("target", "reason"), [(".", LOOP), ("nowhere", DANGLING)])
def test_label_folder_that_is_no_folder_is_named_with_the_reason(
    tmp_path: Path, classes: Classes, target: str, reason: str
) -> None:
    touch(tmp_path / "1_fake" / "a.png")
    (tmp_path / "0_real").symlink_to(target)
    message = error_of(load_samples, tmp_path, "gan", classes)
    assert message == f"gan: {tmp_path}/0_real is {reason}"


def test_load_samples_refuses_a_label_folder_whose_download_has_not_ended(tmp_path: Path) -> None:
    for name in ("car", "cat"):
        make_label_folders(tmp_path / name)
    (tmp_path / "cat/1_fake" / UNFINISHED).touch()
    assert error_of(load_samples, str(tmp_path), "mini", ["car", "cat"]) == (
        f"mini: the download of {tmp_path}/cat/1_fake has not ended: the same task=download "
        "command as before continues it"
    )
    assert len(load_samples(str(tmp_path), "mini", ["car"]).table) > 0
