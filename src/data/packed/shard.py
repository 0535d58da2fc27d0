"""A shard: an Arrow file of the decoded images of a part of a label folder."""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.data.image_io import UnreadableError

SHARD_IMAGES = 1024  # images per file: what a killed pack has to repeat
BATCH_IMAGES = 32  # images per record batch: what is in memory while packing
FILE_CHECKSUMS = "file_crc32"  # key of what `describe_shard` returns
SHARD_SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # path of the source file in its label folder
        ("mtime_ns", pa.int64()),  # modification time of the source file; 0 of an archive's member
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("pixels", pa.large_binary()),  # uint8 RGB, row by row; null if unreadable
        ("crc32", pa.uint32()),  # see `checksum`; of a reason, of its bytes
        ("reason", pa.string()),  # why it is unreadable
    ],
    metadata={"layout": f"{SHARD_IMAGES} images a file, {BATCH_IMAGES} a batch"},
)


class DamagedShardError(UnreadableError):
    """A shard that does not hold what was packed."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} is damaged or of an earlier version; task=pack writes it again, or "
            "task=download data.format=packed recheck=true if it was downloaded"
        )


def checksum(pixels: np.ndarray) -> int:
    """Return the CRC-32 of an image, `uint8` H×W×3 and contiguous, and of its height."""
    return zlib.crc32(pixels.data, pixels.shape[0])


def shard_file(folder: Path, number: int) -> Path:
    """Return the path of a shard in a folder of a packed copy."""
    return folder / f"{number:05d}.arrow"


class Shard:
    """The images of one file of a packed copy, mapped into memory.

    Raises:
        DamagedShardError: the file is missing, damaged or no shard.
        PermissionError: it may not be read.

    Attributes:
        about: what `describe_shard` returned when it was written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
                self.table = reader.read_all()
            self.table.validate(full=True)  # damaged offsets would make Arrow read elsewhere
            self.about = _about(self.table.schema)
            heights, widths, self.checksums = (
                self.table[name].fill_null(0).to_numpy().astype(np.int64)
                for name in ("height", "width", "crc32")
            )
            self.shapes = np.stack([heights, widths], axis=1)
            self.batches = [_batch_pixels(chunk) for chunk in self.table["pixels"].chunks]
        except PermissionError as error:
            raise _in_words(error, file) from None
        except Exception:  # a damaged file can raise nearly anything
            raise DamagedShardError(file) from None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def unreadable(self) -> int:
        """The number of images that could not be read when they were packed."""
        return int(self.table["reason"].length() - self.table["reason"].null_count)

    def image(self, position: int) -> np.ndarray | str:
        """Return the pixels of an image, read-only; or why there are none.

        Raises:
            DamagedShardError: it is not what was packed.
        """
        try:
            reason = self.table["reason"][position].as_py()
            height, width = self.shapes[position].tolist()
            if (reason is None) != (height * width > 0):
                raise ValueError("neither an image nor a reason, or both")
            if reason is not None:
                if zlib.crc32(reason.encode()) != self.checksums[position]:
                    raise ValueError("another reason")
                return str(reason)
            batch, row = divmod(position, BATCH_IMAGES)
            values, offsets = self.batches[batch]
            start = int(offsets[row])
            image = values[start : start + 3 * height * width].reshape(height, width, 3)
        except Exception:  # damage can raise nearly anything
            raise DamagedShardError(self.file) from None
        if checksum(image) != self.checksums[position]:
            raise DamagedShardError(self.file)
        return image


def describe_shard(
    folder: str, max_megapixels: int, checksums: Sequence[int] | None
) -> dict[str, str]:
    """Return what a shard says of itself, among it an id that no other shard has.

    Args:
        folder: the label folder, relative to the root of the data set.
        max_megapixels: larger images were refused.
        checksums: CRC-32 of each image's file, where they are members of an archive.
    """
    about = {"folder": folder, "max_megapixels": str(max_megapixels), "id": uuid.uuid4().hex}
    if checksums is not None:
        about[FILE_CHECKSUMS] = " ".join(f"{one:08x}" for one in checksums)
    return about


def file_checksums(about: Mapping[str, str]) -> list[int] | None:
    """Return the CRC-32 of each image's file, of members of an archive; None of other files."""
    stored = about.get(FILE_CHECKSUMS)
    return None if stored is None else [int(one, 16) for one in stored.split()]


def _about(schema: pa.Schema) -> dict[str, str]:
    """Return the description that is stored in the schema of a shard.

    Raises:
        ValueError: it is that of another file.
    """
    about = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    layout = SHARD_SCHEMA.metadata[b"layout"].decode()
    if not schema.equals(SHARD_SCHEMA) or about.pop("layout") != layout:
        raise ValueError("no shard, or one of an earlier version")
    return about


def _batch_pixels(chunk: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all images of a record batch, and the offset of each image."""
    _, offsets, values = chunk.buffers()
    return np.frombuffer(values or b"", np.uint8), np.frombuffer(offsets, np.int64)


def _in_words(error: PermissionError, file: Path) -> PermissionError:
    """Return the same error with the system's words in place of Arrow's."""
    return PermissionError(error.errno, os.strerror(error.errno or 0), str(file))


def check_shard(file: Path, size: int, identity: str) -> dict[str, str]:
    """Check that a shard is the one that was packed; its images are checked when they are read.

    Returns:
        What `describe_shard` returned when it was written.

    Raises:
        GenspotError: it is not.
        PermissionError: it may not be read.
    """
    if not file.is_file():
        raise GenspotError(f"{file} is missing")
    if file.stat().st_size != size:
        raise GenspotError(f"{file} is damaged: {file.stat().st_size} of {size} bytes")
    try:
        with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
            about = _about(reader.schema)
    except PermissionError as error:
        raise _in_words(error, file) from None
    except Exception:  # a damaged file can raise nearly anything
        raise GenspotError(f"{file} is damaged") from None
    if about.get("id") != identity:
        raise GenspotError(f"{file} is of another folder or packed copy")
    return about
