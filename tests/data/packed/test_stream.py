"""Members of an archive become the packed copy that their files would become."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.data.packed import shard_writer
from genspot.data.packed.index import INDEX_FILE
from genspot.data.packed.reader import open_packed
from genspot.data.packed.sources import packed_folder
from genspot.data.packed.stream import write_copy
from genspot.data.packed.writer import pack
from helpers.errors import error_of
from helpers.images import save_set
from helpers.member_sets import contents_of, members_of, pack_members, plan, write_files
from helpers.packed_sets import (
    all_samples,
    assert_equals_files,
    equal,
    from_files,
    from_packed,
    save_mixed,
)

CLASSES = ["cat", "dog"]


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """Two classes of 8 to 16 files a label folder, some unreadable, in a shuffled order."""
    for seed, name in enumerate(CLASSES):
        save_mixed(tmp_path / "source" / name / "0_real", 2, seed)
        save_mixed(tmp_path / "source" / name / "1_fake", 1, 7 + seed)
    return members_of(tmp_path / "source")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the archive's folders would be; nothing is there."""
    return tmp_path / "train"


def shards(root: Path) -> dict[str, tuple[int, int]]:
    """Return the shards of the packed copy of `root`, with inodes and times."""
    copy = packed_folder(root)
    files = sorted(file for file in copy.rglob("*.arrow"))
    stats = {file.relative_to(copy).as_posix(): file.stat() for file in files}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in stats.items()}


def test_copy_of_members_gives_the_samples_of_the_files(
    members: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    assert pack_members(members, root) == (48, 12)
    assert not root.exists()
    packed, files = from_packed(root, CLASSES), from_files(tmp_path / "source", CLASSES)
    paths = [str(Path(path).relative_to(root)) for path in packed.table["path"].to_pylist()]
    expected = files.table["path"].to_pylist()
    assert [str(tmp_path / "source" / path) for path in paths] == expected
    assert packed.table.drop(["path"]).equals(files.table.drop(["path"]))
    for one, other in zip(all_samples(packed), all_samples(files), strict=True):
        same = one["image"] is None, other["image"] is None
        assert same[0] == same[1] and (same[0] or np.array_equal(one["image"], other["image"]))
        assert [reason for _, reason in one["unreadable"]] == [
            reason for _, reason in other["unreadable"]
        ]


def test_copy_of_members_equals_a_pack_of_their_files(
    members: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    pack_members(members, root)
    pack(tmp_path / "source", "gan", CLASSES)
    (tmp_path / "source").rename(tmp_path / "away")
    expected = all_samples(from_packed(tmp_path / "source", CLASSES))
    found = all_samples(from_packed(root, CLASSES))
    assert [one["image"] is None for one in found] == [one["image"] is None for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["image"] is None or np.array_equal(one["image"], other["image"])


def interrupted(data: Iterator[bytes], after: int) -> Iterator[bytes]:
    yield from itertools.islice(data, after)
    raise KeyboardInterrupt


@pytest.mark.parametrize("after", [0, 5, 6, 13, 20, 47])
def test_interrupted_copy_continues_after_its_last_shard(
    members: dict[str, bytes], root: Path, after: int
) -> None:
    found = plan(members, root)
    found.copy.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_copy(found, interrupted(contents_of(members, found), after), lambda _: None, 2)
    before = shards(root)
    assert "task=pack" in error_of(open_packed, root, "gan", CLASSES)
    left = sum(len(one.rows) for one in plan(members, root).missing)
    # Shards of 6, 6, 4 images of real ones and of 6 and 2 fakes, twice.
    ends = [0, 6, 12, 16, 22, 24, 30, 36, 40, 46, 48]
    assert left == 48 - max(end for end in ends if end <= after)
    assert pack_members(members, root) == (left, 12)
    assert before.items() <= shards(root).items()
    assert len(open_packed(root, "gan", CLASSES)[0].table) == 48
    assert not list(found.copy.rglob("*.partial"))


def test_interruption_before_an_index_costs_no_image(
    members: dict[str, bytes], root: Path
) -> None:
    pack_members(members, root)
    (packed_folder(root) / "cat" / "0_real" / INDEX_FILE).unlink()
    assert pack_members(members, root) == (0, 12)
    assert len(open_packed(root, "gan", CLASSES)[0].table) == 48


def test_complete_copy_is_not_written_again(members: dict[str, bytes], root: Path) -> None:
    pack_members(members, root)
    before = shards(root)
    for recheck in (False, True):
        assert not plan(members, root, recheck).missing
        assert pack_members(members, root, recheck) == (0, 12)
    assert shards(root) == before


def test_further_class_is_added(members: dict[str, bytes], root: Path) -> None:
    cats = {name: data for name, data in members.items() if name.startswith("cat/")}
    pack_members(cats, root)
    assert "no packed copy of" in error_of(open_packed, root, "gan", CLASSES)
    assert pack_members(members, root) == (24, 12)
    assert len(open_packed(root, "gan", "any")[0].table) == 48


@pytest.mark.parametrize(
    ("damage", "recheck"),
    [
        (lambda content: content[:-50], False),
        (lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:], True),
    ],
)
def test_damaged_shard_is_written_again(
    members: dict[str, bytes],
    root: Path,
    damage: Callable[[bytes], bytes],
    recheck: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pack_members(members, root)
    expected = all_samples(from_packed(root, CLASSES))
    shard = packed_folder(root) / "dog" / "0_real" / "00001.arrow"
    shard.write_bytes(damage(shard.read_bytes()))
    assert pack_members(members, root, recheck) == (6, 12)
    assert f"{shard} is damaged" in caplog.text
    assert all(map(equal, all_samples(from_packed(root, CLASSES)), expected))


def test_copy_of_other_images_is_refused_and_stays(members: dict[str, bytes], root: Path) -> None:
    pack_members(members, root)
    before = shards(root)
    name = next(name for name in members if name.startswith("cat/1_fake/rgb"))
    others = [
        members | {name: members[name] + b"\0"},
        members | {"cat/1_fake/more.png": members[name]},
        {key: value for key, value in members.items() if key != name},
    ]
    for other in others:
        message = error_of(plan, other, root)
        assert f"{packed_folder(root)}/cat/1_fake is the packed copy of other images" in message
    assert shards(root) == before


def test_copy_that_was_packed_from_files_counts(
    members: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "source", root)
    pack(root, "gan", CLASSES)
    before = shards(root)
    for recheck in (False, True):
        assert not plan(members, root, recheck).missing
    shutil.rmtree(root)
    assert pack_members(members, root) == (0, 12)
    assert shards(root) == before
    other = {name: data + b"\0" for name, data in members.items()}
    assert "packed copy of other images" in error_of(plan, other, root)


def test_image_files_in_the_way_are_named(members: dict[str, bytes], root: Path) -> None:
    write_files(members, root, ["dog/1_fake/rgb"])
    message = error_of(plan, members, root)
    assert message.startswith(f"{root}/dog holds folders of image files")
    assert "task=pack" in message
    assert not packed_folder(root).exists()


def test_larger_limit_packs_what_was_refused(root: Path, tmp_path: Path) -> None:
    folder = save_set(tmp_path / "source" / "cat", 7, 3)
    Image.new("RGB", (1200, 1000)).save(folder / "0_real" / "000.png")
    members = members_of(tmp_path / "source")
    found = [pack_members(members, root, max_megapixels=limit) for limit in (1, 1, 2, 1)]
    assert found == [(10, 1), (0, 1), (6, 0), (0, 0)]


def test_copy_that_the_disk_changed_while_it_was_written_is_not_kept(
    members: dict[str, bytes], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = shard_writer.Shard

    def damaged(file: Path) -> object:
        if file.suffix == ".partial":
            content = bytearray(file.read_bytes())
            content[2500] ^= 1
            file.write_bytes(content)
        return opened(file)

    monkeypatch.setattr(shard_writer, "Shard", damaged)
    assert "does not hold what was written" in error_of(pack_members, members, root)
    assert not list(packed_folder(root).rglob("*.arrow*"))


def test_left_out_members_are_counted_and_named(
    members: dict[str, bytes], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"cat/0_real/Thumbs.db": b"x", "readme.png": b"y"}
    assert pack_members({**more, **members}, root) == (48, 12)
    assert "the archive: not everything is packed; left out: " in caplog.text
    assert "and 1 more" in caplog.text
    assert len(open_packed(root, "gan", CLASSES)[0].skipped) == 1


def test_equal_files_that_are_unpacked_later_count(
    members: dict[str, bytes], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The files of a downloaded copy may come later; task=pack compares them by their CRC-32."""
    pack_members(members, root)
    before = shards(root)
    write_files(members, root)
    assert_equals_files(root, CLASSES)
    pack(root, "gan", CLASSES)
    assert shards(root) == before
    assert_equals_files(root, CLASSES)
    image = next(root.glob("cat/0_real/rgb*.png"))
    image.write_bytes(members["dog/0_real/rgb0.png"])
    pack(root, "gan", CLASSES)
    assert len(shards(root).items() - before.items()) == 1
    assert_equals_files(root, CLASSES)
