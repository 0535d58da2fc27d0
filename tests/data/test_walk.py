"""A walk follows links, finds nested images, and names what it leaves out."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from PIL import Image

from genspot.common.files import utf8_path
from genspot.data import walk
from genspot.data.walk import find_images
from helpers.image_bytes import encode
from helpers.label_folders import touch

PHOTO = Image.new("RGB", (8, 8), (9, 90, 200))


def listed(root: Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of the images below `root`, and reason by name of what is left out."""
    found = find_images(str(root))
    left_out = {os.path.relpath(path, root): reason for path, reason in found.left_out}
    return found.names.to_pylist(), left_out


def test_find_images_takes_nested_ones_after_those_of_the_folder(tmp_path: Path) -> None:
    names = ["b.png", "c.png", "a/z.png", "a/deep/er/x.png", "a-b/y.png"]
    touch(*(tmp_path / name for name in names))
    found = ["b.png", "c.png", "a/z.png", "a-b/y.png", "a/deep/er/x.png"]
    order = [(os.path.dirname(name), os.path.basename(name)) for name in found]
    assert listed(tmp_path) == ([name for _, name in sorted(zip(order, found, strict=True))], {})


@pytest.mark.parametrize(
    "name", ["photo.gif", "photo.JFIF", "photo.jpe", "photo.avif", "photo.Jpeg", "photo.tiff"]
)
def test_find_images_takes_known_extensions_without_opening_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / name)
    monkeypatch.setattr(walk, "reason_not_an_image", lambda path: "opened")
    assert listed(tmp_path) == ([name], {})


def test_find_images_decides_other_files_by_their_content(tmp_path: Path) -> None:
    for kind, name in (("PNG", "photo"), ("JPEG", "photo.data"), ("AVIF", "a.heif")):
        (tmp_path / name).write_bytes(encode(PHOTO, kind))
    bomb = b"P6 99999 99999 255\n"
    texts = {"notes.txt": b"hello", "magic.txt": b"P6 is a format", "empty": b"", "page": b"%PDF-"}
    for name, content in (texts | {"bomb": bomb}).items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    names, left_out = listed(tmp_path)
    assert names == ["a.heif", "bomb", "photo", "photo.data"]
    assert left_out.keys() == {*texts, "pipe", "gone", "itself"}
    for name in ("notes.txt", "magic.txt", "page"):
        assert "content is no image" in left_out[name]
    assert left_out["pipe"] == "not a regular file"
    assert left_out["gone"] == "a link to nothing"
    assert left_out["itself"].startswith("a link that cannot be followed: Too many levels")
    assert all(len(reason.splitlines()) == 1 for reason in left_out.values())


def test_find_images_passes_over_hidden_entries_and_packed_copies(tmp_path: Path) -> None:
    hidden = [".a.png", "._a.png", ".git/a.png", "__MACOSX/a.png", ".DS_Store"]
    packed = ["x.packed/a.png", f"x.packed/{walk.PACKED_LIST}"]
    touch(*(tmp_path / name for name in ["a.png", "y.packed/a.png", *hidden, *packed]))
    (tmp_path / "z.packed").write_bytes(encode(PHOTO, "PNG"))
    (tmp_path / "link").symlink_to("x.packed")
    assert listed(tmp_path) == (["a.png", "z.packed", "y.packed/a.png"], {})
    touch(tmp_path / ".data" / "a.png")
    assert listed(tmp_path / ".data") == (["a.png"], {})  # asked for by name


def test_find_images_follows_links_to_folders_and_files(tmp_path: Path) -> None:
    touch(tmp_path / "store/deep/a.png", tmp_path / "set/own.png")
    (tmp_path / "set/all").symlink_to(tmp_path / "store")
    (tmp_path / "set/again").symlink_to("../store/deep")
    (tmp_path / "set/file.png").symlink_to("../store/deep/a.png")
    (tmp_path / "root").symlink_to("set")
    for root in ("set", "root"):
        again = {"all/deep": f"the same folder as {tmp_path}/{root}/again, which is there already"}
        assert listed(tmp_path / root) == (["file.png", "own.png", "again/a.png"], again)


def test_find_images_enters_each_folder_once_however_links_lead_there(tmp_path: Path) -> None:
    """Two links at each of 40 levels: 2⁴⁰ ways. Twelve folders with links to all others."""
    for level in range(40):
        touch(tmp_path / f"deep/{level}/a.png")
        for name in ("x", "y"):
            (tmp_path / f"deep/{level}/{name}").symlink_to(f"../{level + 1}")
    (tmp_path / "deep/40").mkdir()
    names, left_out = listed(tmp_path / "deep/0")
    assert len(names) == len(left_out) == 40
    for one, other in itertools.permutations("abcdefghijkl", 2):
        touch(tmp_path / f"mesh/{one}/{one}.png")
        (tmp_path / f"mesh/{one}/{other}").symlink_to(f"../{other}")
    names, left_out = listed(tmp_path / "mesh")
    assert names == [f"{name}/{name}.png" for name in "abcdefghijkl"]
    assert len(left_out) == 12 * 11


def test_file_ids_are_those_of_the_files_that_links_lead_to(tmp_path: Path) -> None:
    for name in ("b.png", "c.png", "sub/d", "e"):
        touch(tmp_path / name)
        (tmp_path / name).write_bytes(encode(PHOTO, "PNG"))
    os.link(tmp_path / "b.png", tmp_path / "a.png")
    (tmp_path / "sub/link.png").symlink_to("../c.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    found = find_images(str(tmp_path))
    names, ids = found.names.to_pylist(), found.file_ids.tolist()
    assert names == ["a.png", "b.png", "c.png", "e", "gone.png", "sub/d", "sub/link.png"]
    same = {(names[ids.index(one)], name) for one, name in zip(ids, names, strict=True)}
    assert {pair for pair in same if pair[0] != pair[1]} == {
        ("a.png", "b.png"),
        ("c.png", "sub/link.png"),
    }
    assert ids == [walk.file_id(str(tmp_path / name)) for name in names]


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_find_images_names_a_link_to_a_folder_that_contains_it(
    target: str, tmp_path: Path
) -> None:
    touch(tmp_path / "set/sub/a.png")
    (tmp_path / "set/sub/loop").symlink_to(target)
    assert listed(tmp_path / "set") == (["sub/a.png"], {"sub/loop": walk.LOOP})


def test_find_images_ends_where_two_links_lead_to_each_other(tmp_path: Path) -> None:
    touch(tmp_path / "one/a.png", tmp_path / "two/b.png")
    (tmp_path / "one/to").symlink_to("../two")
    (tmp_path / "two/back").symlink_to("../one")
    assert listed(tmp_path / "one") == (["a.png", "to/b.png"], {"to/back": walk.LOOP})
    (tmp_path / "one" / "link.png").symlink_to("../two")  # its name promises an image
    assert "link.png" in listed(tmp_path / "one")[0]


def test_find_images_names_a_folder_below_the_longest_path(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    name, depth = "d" * 250, 20
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        below = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("b.png", os.O_CREAT, dir_fd=handle))
    os.close(handle)
    names, left_out = listed(tmp_path)
    [(path, reason)] = left_out.items()
    assert names == ["a.png"] and len(path) > 3000
    assert reason == "cannot be listed: File name too long"


def test_find_images_names_a_folder_that_may_not_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.png", tmp_path / "secret/b.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    reason = "cannot be listed: Permission denied"
    assert listed(tmp_path) == (["a.png"], {"secret": reason})
    assert listed(tmp_path / "secret") == ([], {".": reason})


def test_find_images_leaves_out_names_that_are_not_utf8(tmp_path: Path) -> None:
    bad = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(bad)
    touch(tmp_path / r"caf\xe9.png")  # the name that the other file is listed by
    for path in (bad + b"/a.png", bad + b".png", bad + b".txt"):
        with open(path, "wb") as file:
            file.write(encode(PHOTO))
    found = find_images(str(tmp_path))
    assert found.names.to_pylist() == [r"caf\xe9.png"]
    left_out = {utf8_path(path): reason for path, reason in found.left_out}
    names = ("", ".png", ".txt")
    assert left_out == {rf"{tmp_path}/caf\xe9{name}": walk.NOT_UTF8 for name in names}
    root = os.fsdecode(bad)
    assert find_images(root) == walk.Images([], [(root, walk.NOT_UTF8)])
