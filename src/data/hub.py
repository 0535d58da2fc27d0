"""Data sets of Hugging Face: their images, as the library `datasets` caches them.

The library downloads a data set once, and converts it into Arrow files of encoded images, which
are read where they lie. Of a data set that is streamed, the first images alone are fetched; they
are kept in one Parquet file.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from genspot.common.containers import open_container
from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.files import atomic_write
from genspot.common.image_tables import TableImages, features
from genspot.common.ranks import is_rank_zero
from genspot.common.text import printable
from genspot.data.settings import Labels

log = logging.getLogger(__name__)

COLUMNS = ("image", "label", "class", "generator")
SAVED = "state.json"  # in a folder that save_to_disk has written
MAX_REASON = 300  # characters of a message of the library


def fetch(place: Mapping[str, Any], labels: Labels) -> list[str]:
    """Return the files of a data set, in order, and download what is missing.

    The log says which names of the column of labels stand for real images, and which for fakes.

    Args:
        place: `hub`, the data set or a local folder in that form; `split`, `config` and
            `revision`, None for the usual ones; names of `COLUMNS`; `streaming` and `limit`, to
            fetch that many images alone, into the folder `folder`.
        labels: names of the labels.

    Returns:
        Paths of Arrow files, or of one Parquet file.

    Raises:
        GenspotError: the library is not installed; the data set, split or column is missing, or
            cannot be reached; in one line.
    """
    items = sorted((key, value) for key, value in place.items() if key != "only")
    return list(_fetch(tuple(items), labels))  # once for all generators of a data set


@cache
def _fetch(items: tuple[tuple[str, Any], ...], labels: Labels) -> list[str]:
    place = dict(items)
    if place.get("streaming"):
        file = _fetch_first(place)
        _log_labels(place, pq.read_schema(file), labels)
        return [file]
    with _explained(place):
        loaded = _load(place)
        files = [cached["filename"] for cached in loaded.cache_files]
        _check_columns(place, loaded.column_names)
        if loaded.num_rows != sum(map(_count_rows, files)):
            raise GenspotError(
                f"split={place.get('split')} of {place['hub']}: name a whole split; limit=N takes "
                "its first images"
            )
    _log_labels(place, loaded.data.schema, labels)
    return files


def _log_labels(place: Mapping[str, Any], schema: pa.Schema, labels: Labels) -> None:
    described = features(schema).get(place.get("label") or "label", {}).get("names")
    if isinstance(described, list) and is_rank_zero():
        real, fake = (
            [str(name) for name in described if labels.values.get(str(name).casefold()) == label]
            for label in (0, 1)
        )
        log.info(
            "%s: labels %s; real images: %s; fakes: %s",
            *(place["hub"], printable(", ".join(map(str, described)))),
            *(", ".join(real) or "none", ", ".join(fake) or "none"),
        )


def _count_rows(file: str) -> int:
    table = open_container(file)
    assert isinstance(table, TableImages)
    return table.rows


def _fetch_first(place: Mapping[str, Any]) -> str:
    """Return the Parquet file with the first images of a data set."""
    if not place.get("limit"):
        raise GenspotError(f"streaming of {place['hub']} needs limit=N, the number of images")
    name, digest = _names_of(place)
    file = Path(place.get("folder") or ".", f"{name}_{digest}.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):  # one run fetches it, others wait
        if not file.exists():
            with _explained(place), atomic_write(file) as partial:
                _take(place).to_parquet(partial)
    return str(file)


def _names_of(place: Mapping[str, Any]) -> tuple[str, str]:
    """Return a name for the first images of a data set, and a digest of what they depend on."""
    parts = [str(place.get(key)) for key in ("hub", "config", "split", "revision", "limit")]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return re.sub(r"[^\w.-]+", "-", f"{parts[0]}_{parts[2]}_{parts[4]}").strip("-._"), digest


def _take(place: Mapping[str, Any]) -> Any:
    """Return the first images of a data set, encoded as they are there."""
    import fsspec

    datasets = _library(place)
    loaded = _load(place, streaming=True)
    if loaded.features is not None:
        _check_columns(place, list(loaded.features))
        for name, feature in loaded.features.items():
            if isinstance(feature, datasets.Image):
                loaded = loaded.cast_column(name, datasets.Image(decode=False))
    rows = list(loaded.take(place["limit"]))
    for row in rows:
        for value in row.values():
            if isinstance(value, dict) and value.keys() == {"bytes", "path"}:
                if value["bytes"] is None and value["path"]:
                    with fsspec.open(value["path"]) as file:
                        value["bytes"] = file.read()
                value["path"] = None  # the library would prefer a file of that name
    return datasets.Dataset.from_list(rows, features=loaded.features)


def _library(place: Mapping[str, Any]) -> Any:
    """Return the library; without it, the folder datasets/ of a checkout has its name."""
    with suppress(ModuleNotFoundError):
        library: Any = importlib.import_module("datasets")
        if hasattr(library, "load_dataset"):
            return library
    raise missing_extra(f"the data set {place['hub']}", "datasets", "hub")


def _load(place: Mapping[str, Any], streaming: bool = False) -> Any:
    """Return what the library loads: nothing is decoded."""
    if os.path.isfile(os.path.join(place["hub"], SAVED)):
        raise GenspotError(
            f"{place['hub']} is a folder that save_to_disk has written: give the folder itself, "
            f"test_sets={{NAME: {place['hub']}}}"
        )
    datasets = _library(place)
    if is_rank_zero() and not os.path.exists(place["hub"]):  # it may take its time
        log.info("%s: asking Hugging Face for it", place["hub"])
    if os.environ.get("TQDM_DISABLE") == "1":
        datasets.disable_progress_bars()
    return datasets.load_dataset(
        place["hub"],
        place.get("config"),
        split=place.get("split") or "test",
        revision=place.get("revision"),
        streaming=streaming,
        keep_in_memory=False,  # else there may be no files
    )


def _check_columns(place: Mapping[str, Any], columns: list[str]) -> None:
    for key in COLUMNS:
        if place.get(key) and place[key] not in columns:
            raise GenspotError(
                f"{key}={place[key]}: {place['hub']} has no such column; there are: "
                f"{', '.join(columns)}"
            )


@contextmanager
def _explained(place: Mapping[str, Any]) -> Iterator[None]:
    """Raise the library's errors in the block as GenspotError."""
    try:
        yield
    except (GenspotError, MemoryError):
        raise
    except Exception as error:  # of the library, of its Hub's client, or of the network
        reason = printable(" ".join(str(error).split()))[:MAX_REASON]
        hint = ""
        if isinstance(error, ConnectionError):
            hint = (
                "; without a network there is what was fetched before, and the environment "
                "variable HF_HUB_OFFLINE=1 saves the wait"
            )
        raise GenspotError(
            f"the data set {place['hub']} of Hugging Face: {reason or type(error).__name__}{hint}"
        ) from error
