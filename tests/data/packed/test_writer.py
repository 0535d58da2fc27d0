"""A pack continues where it was interrupted, and verifies what it writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.data import image_io
from genspot.data.packed.index import INDEX_FILE
from genspot.data.packed.reader import open_packed
from genspot.data.packed.shard import Shard
from genspot.data.packed.shard_writer import ShardJob, is_current
from genspot.data.packed.sources import packed_folder
from genspot.data.packed.writer import pack
from genspot.data.walk import NOT_UTF8
from helpers.errors import error_of
from helpers.images import save_set
from helpers.packed_sets import assert_equals_files, from_packed


def shards(folder: Path) -> dict[str, int]:
    """Return the shards of the packed copy of `folder`, with their inodes."""
    packed = packed_folder(str(folder))
    files = [file for file in packed.rglob("*.arrow") if file.name != INDEX_FILE]
    return {file.relative_to(packed).as_posix(): file.stat().st_ino for file in sorted(files)}


@contextmanager
def rewritten(folder: Path) -> Iterator[set[str]]:
    """Yield a set that holds, after the block, the shards that were written in it."""
    before, names = shards(folder), set[str]()
    yield names
    names.update(name for name, _ in shards(folder).items() - before.items())


def kill_pack(folder: Path, name: str) -> None:
    """Pack `folder`, and interrupt that when the image `name` is read."""
    read = image_io.read

    def interrupt(path: str, *limit: int) -> np.ndarray:
        if path.endswith(name):
            raise KeyboardInterrupt
        return read(path, *limit)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(image_io, "read", interrupt)
        pack(folder, "gan", None)


@pytest.mark.parametrize("name", ["0_real/010.png", "1_fake/001.png"])
def test_pack_after_an_interruption_continues(plain: Path, name: str) -> None:
    kill_pack(plain, name)
    assert "task=pack" in error_of(open_packed, plain, "gan", None)
    before = shards(plain)
    pack(plain, "gan", None)
    assert before.items() <= shards(plain).items() and len(shards(plain)) == 4
    assert_equals_files(plain)
    assert not list(packed_folder(str(plain)).rglob("*.partial"))


def test_pack_rewrites_the_shard_of_a_changed_image_only(mixed: Path) -> None:
    pack(mixed, "gan", None)
    image = mixed / "0_real" / "broken1.png"
    with rewritten(mixed) as written:
        Image.new("RGB", (9, 5), (1, 2, 3)).save(image)
        os.utime(image, ns=(1, 1))
        pack(mixed, "gan", None)
    assert written == {"0_real/00000.arrow"}
    assert_equals_files(mixed)


def test_interrupted_pack_after_a_removal_is_refused_even_without_the_source(
    plain: Path, tmp_path: Path
) -> None:
    pack(plain, "gan", None)
    (plain / "0_real" / "000.png").unlink()
    kill_pack(plain, "0_real/010.png")
    plain.rename(tmp_path / "away")
    assert f"no packed copy of {plain}/0_real" in error_of(open_packed, plain, "gan", None)


def test_pack_raises_if_the_copy_differs_from_the_source(plain: Path) -> None:
    read = image_io.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_io, "read", lambda path, _: read(path) ^ path.endswith("007.png"))
        assert "007.png: the packed copy differs" in error_of(pack, plain, "gan", None)
    assert list(shards(plain)) == ["0_real/00000.arrow"]
    pack(plain, "gan", None)
    assert_equals_files(plain)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: bytes(range(256)) * (len(content) // 256 + 1),
        lambda content: content[:9000] + bytes(4000) + content[13000:],
        lambda content: content[:9000] + bytes([content[9000] ^ 1]) + content[9001:],
        lambda content: b"",
    ],
)
def test_pack_replaces_a_damaged_shard_and_says_so(
    plain: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    pack(plain, "gan", None)
    shard = packed_folder(str(plain)) / "0_real" / "00001.arrow"
    shard.write_bytes(damage(shard.read_bytes()))
    with rewritten(plain) as written:
        pack(plain, "gan", None)
    assert written == {"0_real/00001.arrow"}
    assert f"{shard} is damaged" in caplog.text
    assert_equals_files(plain)


def test_pack_ends_with_what_the_copy_holds(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for _ in range(2):
        pack(mixed, "gan", None)
        copy = packed_folder(str(mixed))
        assert caplog.messages[-1] == f"{copy} holds 24 images, 6 of them unreadable; verified"


def test_pack_without_any_image_raises_and_names_what_is_left_out(tmp_path: Path) -> None:
    save_set(tmp_path / "set", 0, 0)
    (tmp_path / "set" / "0_real" / "notes.txt").write_text("no image")
    message = error_of(pack, tmp_path / "set", "gan", None)
    assert message.startswith(f"gan: no images below {tmp_path}/set") and "notes.txt" in message


def test_empty_and_unreadable_folders_are_packed(tmp_path: Path) -> None:
    (tmp_path / "set" / "0_real").mkdir(parents=True)
    (tmp_path / "set" / "1_fake").mkdir()
    for number in range(9):
        (tmp_path / "set" / "1_fake" / f"{number}.png").touch()
    pack(tmp_path / "set", "gan", None)
    assert_equals_files(tmp_path / "set")


def test_pack_refuses_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    folder = save_set(tmp_path / "set" / os.fsdecode(b"caf\xe9"), 1, 1)
    for root, classes in ((tmp_path / "set", "any"), (folder, None)):
        assert rf"caf\xe9 ({NOT_UTF8})" in error_of(pack, root, "gan", classes)


def test_pack_finds_every_damage_of_a_shard(plain: Path) -> None:
    """No flipped bit raises anything else, or gives other pixels or another reason."""
    (plain / "0_real" / "014.png").write_bytes(b"no image")
    pack(plain, "gan", None)
    file = packed_folder(str(plain)) / "0_real" / "00002.arrow"  # of three images
    content, rng = file.read_bytes(), np.random.default_rng(0)
    names = [f"{number:03d}.png" for number in range(12, 15)]
    job = ShardJob(file, [f"{plain}/0_real/{name}" for name in names], names, "0_real", 179)
    assert is_current(job)
    expected = [Shard(file).image(row) for row in range(3)]
    pixels = content.index(image_io.read(job.paths[0]).tobytes())
    outside = [place for place in range(len(content)) if not pixels <= place < pixels + 9_600]
    for place in rng.choice(outside, 400, replace=False).tolist():
        file.write_bytes(
            content[:place]
            + bytes([content[place] ^ 1 << rng.integers(8).item()])
            + content[place + 1 :]
        )
        if is_current(job):
            shard = Shard(file)
            assert all(np.array_equal(shard.image(row), expected[row]) for row in range(3))


def test_pack_with_a_larger_limit_reads_what_was_refused(plain: Path) -> None:
    Image.new("RGB", (1200, 1000)).save(plain / "0_real" / "000.png")
    os.utime(plain / "0_real", ns=(1, 1))
    reads = []
    for limit in (1, 2, 1):
        with rewritten(plain) as written:
            pack(plain, "gan", None, limit)
        samples = from_packed(plain)
        reads.append((len(written), samples[0, 0]["image"] is not None))
    assert reads == [(4, False), (1, True), (0, True)]


def test_pack_on_a_full_disk_raises_before_it_writes(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(plain)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = error_of(pack, plain, "gan", None)
    assert str(packed_folder(str(plain))) in message and "GB" in message
    assert not shards(plain)
