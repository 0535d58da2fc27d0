"""Members of an archive become files, whatever was there before."""

from __future__ import annotations

import io
import logging
import os
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genspot.common.files import UNFINISHED
from genspot.download.directory import Directory, read_directory
from genspot.download.members import batches
from genspot.download.presence import HIDDEN, PARTIAL
from genspot.download.progress import Progress
from genspot.download.source import ByteSource
from genspot.download.unpack import Unpacked, find_missing, lock_root, unpack
from helpers.archives import DEFLATED, STORED, zip_bytes
from helpers.errors import error_of

FOLDERS = ("cat/0_real", "cat/1_fake", "stylegan/car/1_fake")


def make_members(count: int = 12, size: int = 3000) -> dict[str, bytes]:
    """Return members with bytes that deflate little, some of them empty or long."""
    rng = random.Random(0)
    return {
        f"{folder}/{number:05d}.png": rng.randbytes(number * size // count) + bytes(number % 5)
        for folder in FOLDERS
        for number in range(count)
    }


class Bytes:
    """Bytes as a source that counts them, and raises `error` once `limit` reads were answered."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.read_bytes = 0
        self.reads = 0
        self.limit: int | None = None
        self.error: BaseException = OSError("the network is gone")
        self._lock = threading.Lock()

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            if self.limit is not None and self.reads >= self.limit:
                raise self.error
            self.reads += 1
            self.read_bytes += length
        return self.data[offset : offset + length]


class Case:
    """An archive, its directory, and the folder it is unpacked to."""

    def __init__(self, folder: Path, members: dict[str, bytes], method: int = DEFLATED) -> None:
        self.members = members
        self.root = folder / "data"
        self.source = Bytes(zip_bytes(members, method))
        self.directory = read_directory(self.source, folder / "cache", "set.zip")
        self.cancelled = 0
        self.reset()

    def reset(self) -> None:
        self.source.read_bytes = self.source.reads = 0

    def run(self, recheck: bool = False, threads: int = 3) -> Unpacked:
        with lock_root(self.root):
            missing = find_missing(self.directory, self.root, recheck)
            with Progress("unpacking", missing.members.stored, quiet=True) as progress:
                unpacked = unpack(self.source, missing, threads, progress, self._cancel)
                assert progress.checked == missing.members.stored
        return unpacked

    def missing(self, recheck: bool = False) -> list[str]:
        """Return the names of what is missing."""
        with lock_root(self.root):
            found = find_missing(self.directory, self.root, recheck).members
        return found.table["name"].to_pylist()

    def _cancel(self) -> None:
        self.cancelled += 1


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path, make_members())


def files(root: Path) -> dict[str, bytes]:
    """Return all files below `root`, without the hidden ones of the root, by their names.

    And without the marks of folders that are not complete.
    """
    paths = [path for path in root.rglob("*") if path.is_file() and path.name != UNFINISHED]
    names = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if name[0] != "."}


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch hold a few members."""
    limited: Callable[[Directory], object] = lambda directory: batches(directory, 8000)  # noqa: E731
    monkeypatch.setattr("genspot.download.unpack.batches", limited)


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("threads", [1, 4])
def test_unpack_writes_what_zipfile_reads(
    tmp_path: Path, method: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    case = Case(tmp_path, make_members(), method)
    with zipfile.ZipFile(io.BytesIO(case.source.data)) as archive:
        expected = {one.filename: archive.read(one) for one in archive.infolist()}
    expected = {name: data for name, data in expected.items() if not name.endswith("/")}
    unpacked = case.run(threads=threads)
    assert files(case.root) == expected == case.members
    assert case.source.reads > 5
    assert unpacked == Unpacked(36, 0, sum(map(len, expected.values())), 0)
    assert case.cancelled == 0


def test_unpack_of_one_folder_leaves_the_others_out(case: Case) -> None:
    case.directory = case.directory.select(["stylegan/car"])
    case.run()
    own = {name: data for name, data in case.members.items() if name.startswith("stylegan/")}
    assert files(case.root) == own
    assert case.source.read_bytes < case.source.size / 2


def test_unpack_of_members_at_the_top_writes_them(tmp_path: Path) -> None:
    case = Case(tmp_path, {"0.png": b"zero", "a/1.png": b"one"})
    case.run()
    assert files(case.root) == case.members
    assert case.run().present == 2


def test_unpack_of_hidden_members_writes_and_counts_them(tmp_path: Path) -> None:
    case = Case(tmp_path, {"cat/0_real/0.png": b"a", "cat/0_real/.DS_Store": b"b"})
    assert case.run().written == 2
    assert case.run().present == 2
    assert (case.root / "cat/0_real/.DS_Store").read_bytes() == b"b"


def test_find_missing_of_members_in_the_place_of_the_record_refuses_them(tmp_path: Path) -> None:
    case = Case(tmp_path, {"cat/0_real/0.png": b"a", f"{HIDDEN}/complete.json": b"{}"})
    with lock_root(case.root):
        assert f"members below {HIDDEN}/" in error_of(find_missing, case.directory, case.root)


def test_unpack_again_reads_nothing(case: Case) -> None:
    case.run()
    case.reset()
    times = {path: path.stat().st_mtime_ns for path in case.root.rglob("*.png")}
    assert case.run() == Unpacked(0, 36, 0, 0)
    assert case.source.reads == 0
    assert {path: path.stat().st_mtime_ns for path in case.root.rglob("*.png")} == times


@pytest.mark.parametrize("reads", [0, 1, 3, 6])
@pytest.mark.parametrize("error", [OSError("the network is gone"), KeyboardInterrupt()])
def test_unpack_after_an_interruption_reads_the_rest_alone(
    case: Case, reads: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    case.source.limit, case.source.error = reads, error
    with pytest.raises(type(error)):
        case.run()
    assert case.cancelled == 1
    written = files(case.root)
    assert written.items() <= case.members.items()  # whole files alone
    assert not list(case.root.rglob(f"*{PARTIAL}"))
    case.source.limit = None
    case.reset()
    lacking = set(case.members) - set(written)
    assert set(case.missing()) == lacking
    unpacked = case.run()
    assert (unpacked.written, unpacked.present) == (len(lacking), len(written))
    assert case.source.read_bytes < case.source.size * (len(lacking) + 4) / len(case.members)
    assert files(case.root) == case.members


def test_unpack_marks_folders_that_are_not_complete_until_they_are(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    case.source.limit = 6
    with pytest.raises(OSError):
        case.run(threads=1)
    written = files(case.root)
    incomplete = {name.rpartition("/")[0] for name in case.members if name not in written}
    assert 0 < len(incomplete) < len(FOLDERS)
    marked = [path.parent for path in case.root.rglob(UNFINISHED)]
    assert {path.relative_to(case.root).as_posix() for path in marked} == incomplete
    case.source.limit = None
    case.run()
    assert not list(case.root.rglob(UNFINISHED))


@pytest.mark.parametrize("recorded", [False, True])
def test_find_missing_removes_the_mark_of_a_folder_that_is_complete(
    case: Case, recorded: bool
) -> None:
    case.run()
    if not recorded:  # another program completed it
        (case.root / HIDDEN / "complete.json").unlink()
    (case.root / FOLDERS[0] / UNFINISHED).touch()
    assert not case.missing()
    assert not list(case.root.rglob(UNFINISHED))


def test_unpack_by_several_interrupted_calls_reads_little_twice(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    calls = 0
    while case.missing():
        case.source.limit, calls = case.source.reads + 1, calls + 1
        assert calls < 20
        try:
            case.run(threads=1)
        except OSError:
            continue
    assert calls > 5
    assert case.source.read_bytes < 1.2 * case.source.size
    assert files(case.root) == case.members


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "lost":
        path.unlink()
    elif kind == "short":
        path.write_bytes(data[:-1])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "long":
        path.write_bytes(data + b"\0")
    elif kind == "link to nothing":
        path.unlink()
        path.symlink_to("nowhere")
    else:  # a flipped bit at another time
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("kind", "different"),
    [("lost", 0), ("short", 1), ("empty", 1), ("long", 1), ("link to nothing", 0), ("flip", 1)],
)
def test_unpack_of_a_folder_that_was_damaged_writes_the_file_again(
    case: Case, kind: str, different: int, caplog: pytest.LogCaptureFixture
) -> None:
    case.run()
    case.reset()
    name = "cat/1_fake/00007.png"
    damage(case.root / name, kind)
    assert case.missing() == [name]
    line = f"will be written again: 1; the first: {case.root / name}"
    assert [line in message for message in caplog.messages] == [True] * different
    assert case.run() == Unpacked(1, 35, len(case.members[name]), 0)
    assert case.source.read_bytes < case.source.size / 4
    assert files(case.root) == case.members
    assert case.missing() == []


def test_find_missing_of_a_flip_that_keeps_size_and_time_needs_recheck(case: Case) -> None:
    case.run()
    path = case.root / "cat/0_real/00009.png"
    times = path.stat()
    damage(path, "flip")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert case.missing() == []
    assert case.missing(recheck=True) == ["cat/0_real/00009.png"]
    assert case.missing() == ["cat/0_real/00009.png"]  # a recheck is not forgotten
    case.run()
    assert files(case.root) == case.members


def test_find_missing_of_files_that_another_program_unpacked_counts_them(case: Case) -> None:
    with zipfile.ZipFile(io.BytesIO(case.source.data)) as archive:
        archive.extractall(case.root)
    (case.root / "cat/0_real/00011.png").unlink()
    assert case.missing() == ["cat/0_real/00011.png"]


def test_find_missing_of_another_archive_of_the_same_sizes_does_not_believe_the_record(
    case: Case, tmp_path: Path
) -> None:
    case.run()
    name = "cat/0_real/00011.png"
    other = dict(case.members) | {name: case.members[name][::-1]}
    new = Case(tmp_path, other)
    assert new.missing() == [name]
    new.run()
    assert files(new.root) == other


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"cat/0_real": 5}', b"\xff"])
def test_find_missing_where_the_record_is_damaged_reads_the_files(
    case: Case, content: bytes
) -> None:
    case.run()
    damage(case.root / "cat/0_real/00011.png", "flip")
    [record] = (case.root / HIDDEN).glob("*.json")
    record.write_bytes(content)
    assert case.missing() == ["cat/0_real/00011.png"]


def test_find_missing_removes_what_a_kill_left_unfinished(case: Case) -> None:
    folder = case.root / FOLDERS[0]
    folder.mkdir(parents=True)
    (folder / f".123{PARTIAL}").write_bytes(b"half")
    (folder / ".keep").write_bytes(b"")
    case.run()
    assert {path.name for path in folder.iterdir() if path.name[0] == "."} == {".keep"}


def test_unpack_names_and_counts_files_that_are_not_in_the_archive(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.run()
    assert not caplog.messages
    extra = case.root / "cat/0_real/mine.png"
    extra.write_bytes(b"mine")
    (case.root / "stylegan/mine.txt").write_bytes(b"in no folder of members")
    with caplog.at_level(logging.WARNING):
        assert case.run().extra == 1
    assert (
        "would be read too: 1; the first: mine.png" in caplog.text
        and str(extra.parent) in caplog.text
    )
    assert extra.read_bytes() == b"mine"


def test_unpack_through_linked_folders_and_files_keeps_the_links(
    case: Case, tmp_path: Path
) -> None:
    (tmp_path / "other disk").mkdir()
    case.root.mkdir()
    (case.root / "cat").symlink_to(tmp_path / "other disk")
    case.run()
    assert (tmp_path / "other disk/0_real/00003.png").is_file()
    image = case.root / "cat/0_real/00003.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    assert case.run().written == 0
    assert image.is_symlink()


@pytest.mark.parametrize("name", ["cat", "cat/0_real", "."])
def test_unpack_where_a_file_is_in_the_place_of_a_folder_says_so(case: Case, name: str) -> None:
    path = case.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    message = error_of_any(case)
    assert str(path) in message
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_unpack_where_no_file_is_in_the_place_of_one_says_so(case: Case, kind: str) -> None:
    path = case.root / "cat/0_real/00005.png"
    path.parent.mkdir(parents=True)
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert f"{path} is there and is no file" in error_of(case.run)


def error_of_any(case: Case) -> str:
    """Return the line of the error of a run; the lock's own errors are the system's."""
    try:
        return error_of(case.run)
    except OSError as error:
        assert error.filename and error.strerror
        return str(error)


def test_unpack_of_a_file_that_cannot_be_written_names_it_and_keeps_the_rest(case: Case) -> None:
    with lock_root(case.root):
        missing = find_missing(case.directory, case.root)
        place = case.root / "cat/1_fake/00004.png"
        place.mkdir(parents=True)  # after it was found to be missing
        with Progress("unpacking", 0, quiet=True) as progress:
            message = error_of(unpack, case.source, missing, 2, progress, lambda: None)
    assert message.startswith(f"{place}: is a directory; what is complete stays")
    assert not list(case.root.rglob(f"*{PARTIAL}"))
    place.rmdir()
    unpacked = case.run()
    assert unpacked.present == 12 + 4  # in the order of the archive
    assert files(case.root) == case.members


class Thief(Bytes):
    """A source that removes a file while others are read."""

    def __init__(self, source: ByteSource, path: Path) -> None:
        super().__init__(source.read(0, source.size))
        self.path = path

    def read(self, offset: int, length: int) -> bytes:
        self.path.unlink(missing_ok=True)
        return super().read(offset, length)


def test_unpack_whose_files_vanish_meanwhile_names_folder_and_count(case: Case) -> None:
    case.run()
    stolen = case.root / "cat/0_real/00002.png"
    damage(case.root / "cat/1_fake/00004.png", "lost")
    case.source = Thief(case.source, stolen)
    message = error_of(case.run)
    assert f"{stolen.parent} lacks 1 of the 12 files of set.zip" in message
    assert stolen.name in message
    assert case.run().written == 1
