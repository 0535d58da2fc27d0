"""Make a packed store (`python run.py task=pack data=…`); `genspot.data.packed.reader` reads it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from filelock import FileLock
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from genspot.data import image_io as images
from genspot.common.errors import GenspotError
from genspot.data.layout import utf8
from genspot.data.index import Index, open_index, write_index
from genspot.data.packed.reader import BATCH, SCHEMA, SHARD, Shard, index_of, shard_file, store_of

log = logging.getLogger(__name__)

Part = tuple[Path, pa.Table]  # the place of a shard, and its rows of the index


def run(cfg: DictConfig) -> None:
    """Pack the training and validation sets of `data`."""
    source = cfg.data
    if not (source.train and source.val):
        raise GenspotError(f"data={source.name} needs data.train=PATH and data.val=PATH")
    node = cfg.datamodule.copy()
    OmegaConf.update(node, "generators", {}, merge=False)
    data = instantiate(node, _convert_="all")
    data.prepare_data()
    for split in ("train", "val"):
        pack(source[split], source.name, data.source["classes"])


def pack(folder: str | Path, generator: str, classes: list[str] | str | None) -> None:
    """Make or complete the store of `folder`, and verify all that is new against the source.

    A shard is written beside its place, read back, held against the source as PIL decodes it,
    and only then renamed. So what a store holds is whole and true, and a pack that was
    interrupted goes on where it was.

    Raises:
        GenspotError: the folder cannot be listed, its name is not UTF-8, the disk has no room, or
            what was read back differs from the source.
    """
    index = open_index(folder, generator, classes)
    store = store_of(folder)
    for section in index.sections:
        place = str(store / section.folder)
        if utf8(place) != place:
            raise GenspotError(f"{utf8(place)}: a store needs folders with names in UTF-8; rename it")
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / ".lock"):
        shards = [
            (shard_file(store / name, first // SHARD), rows.slice(first, SHARD))
            for name, (_, rows) in index.parts().items()
            for first in range(0, len(rows), SHARD)
        ]
        missing = [shard for shard in shards if not _done(*shard)]
        known = index_of(folder).parts()
        # Until a half is whole again, the index must not promise the rows it had.
        unfinished = {file.parent for file, _ in missing}
        whole = {name: one for name, one in known.items() if store / name not in unfinished}
        write_index(store / "index.arrow", index.joined(whole))
        _announce(store, missing, total=len(index.table))
        with (
            tqdm(
                total=sum(len(rows) for _, rows in missing),
                desc=f"packing {Path(folder).name}",
                unit="image",
                disable=not missing,
            ) as progress,
            ThreadPoolExecutor() as threads,
        ):
            for file, rows in missing:
                _write(file, rows["path"].to_pylist(), threads, progress.update)
        write_index(store / "index.arrow", index.joined(known | index.parts()))
        _drop_others(store, index, {file for file, _ in shards})
    log.info("%s holds %d images, verified", store, len(index.table))


def _drop_others(store: Path, index: Index, shards: set[Path]) -> None:
    """Remove the files of these halves that hold nothing any more."""
    for section in index.sections:
        for file in (store / section.folder).glob("*"):
            if file not in shards:
                file.unlink()


def _announce(store: Path, missing: list[Part], total: int) -> None:
    """Say how large it gets before it is begun.

    Raises:
        GenspotError: the disk has less room than that.
    """
    count = sum(len(rows) for _, rows in missing)
    size = sum(_size(rows) for _, rows in missing)
    free = shutil.disk_usage(store).free
    log.info(
        "%s: %d of %d images to pack, %.3f GB; %.1f GB free",
        store,
        count,
        total,
        size / 1e9,
        free / 1e9,
    )
    if size > 0.99 * free:
        raise GenspotError(
            f"{store} needs {size / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free; make "
            "room, or put the data set on another disk (paths.train, paths.val)"
        )


def _size(rows: pa.Table) -> int:
    """Bytes of the decoded images."""
    area = pa.compute.multiply(rows["width"].cast(pa.int64()), rows["height"].cast(pa.int64()))
    return 3 * int(pa.compute.sum(area).as_py() or 0)


def _stamp(path: str) -> int:
    """When `path` changed last, in nanoseconds; 0 where there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _done(file: Path, rows: pa.Table) -> bool:
    """Whether `file` holds these images as they are now."""
    try:
        shard = Shard(file).table
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return False
    paths = rows["path"].to_pylist()
    return shard.schema.equals(SCHEMA, check_metadata=True) and shard.select(
        ["name", "changed"]
    ).to_pydict() == {
        "name": [os.path.basename(path) for path in paths],
        "changed": [_stamp(path) for path in paths],
    }


def _write(
    file: Path,
    paths: list[str],
    threads: ThreadPoolExecutor,
    advance: Callable[[int], object],
) -> None:
    """Pack the images at `paths` into `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for first in range(0, len(paths), BATCH):
            chunk = paths[first : first + BATCH]
            stamps = [_stamp(path) for path in chunk]  # before they are read
            writer.write_batch(_batch(chunk, stamps, list(threads.map(_read, chunk))))
            advance(len(chunk))
    _verify(partial, paths, threads)
    partial.replace(file)


def _batch(paths: list[str], stamps: list[int], found: list[np.ndarray | str]) -> pa.RecordBatch:
    shapes = [one.shape if isinstance(one, np.ndarray) else (None, None) for one in found]
    columns = [
        [os.path.basename(path) for path in paths],
        stamps,
        [shape[0] for shape in shapes],
        [shape[1] for shape in shapes],
        [one.tobytes() if isinstance(one, np.ndarray) else None for one in found],
        [one if isinstance(one, str) else None for one in found],
    ]
    arrays = [pa.array(one, field.type) for one, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _read(path: str) -> np.ndarray | str:
    """The image at `path`, or why it cannot be read."""
    try:
        return images.read(path)
    except Exception as error:  # a broken file can raise nearly anything
        return images.reason(error)


def _published(path: str) -> np.ndarray | str:
    """The same by PIL; a few damaged files that PIL refuses are read all the same."""
    try:
        return images.pil_read(path) if os.path.isfile(path) else _read(path)
    except Exception:
        return _read(path)


def _verify(file: Path, paths: list[str], threads: ThreadPoolExecutor) -> None:
    """Hold what `file` holds against the source.

    Raises:
        GenspotError: an image differs.
    """
    shard = Shard(file)
    for place, expected in enumerate(threads.map(_published, paths)):
        packed = shard.image(place)
        if type(packed) is not type(expected) or not np.array_equal(packed, expected):
            raise GenspotError(
                f"{paths[place]}: the packed copy differs from the source; was it written to "
                "meanwhile? Pack again"
            )
