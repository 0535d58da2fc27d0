"""Features on the disk: what is read is what was written, also after a kill at any byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genspot.common.errors import GenspotError
from genspot.common.files import read_json
from genspot.detector.feature_store import ENTRY, INDEX, RECORDS, FeatureStore

SHAPE = (2, 3)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def features(*numbers: int) -> np.ndarray:
    return np.stack([np.full(SHAPE, number + 0.25, dtype=np.float32) for number in numbers])


def open_store(folder: Path, encoder: str = "a") -> FeatureStore:
    store = FeatureStore(folder, {"encoder": encoder, "geometry": {"crop": 8}}, SHAPE)
    store.lock()
    store.refresh()
    return store


def append(store: FeatureStore, *numbers: int) -> None:
    keys = [key(number) for number in numbers]
    store.append(keys, features(*numbers), [number % 2 == 1 for number in numbers])


def test_features_are_read_as_they_were_written_by_this_and_other_processes(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    append(store, 4, 5)
    assert key(4) in store
    store.get(key(4))  # opens the records
    append(store, 6)
    for reader in (store, open_store(tmp_path)):
        for number in (4, 5, 6):
            found, padded = reader.get(key(number))
            assert np.array_equal(found, features(number)[0])
            assert found.dtype == np.float32
            assert padded == (number == 5)
    assert key(7) not in store
    with pytest.raises(KeyError):
        store.get(key(7))


def test_store_of_something_else_has_another_folder(tmp_path: Path) -> None:
    store, other = open_store(tmp_path), open_store(tmp_path, "b")
    append(store, 1)
    assert store.folder != other.folder
    assert key(1) not in open_store(tmp_path, "b")
    assert read_json(store.folder / "about.json") == {"encoder": "a", "geometry": {"crop": 8}}


@pytest.mark.parametrize("name", [RECORDS, INDEX])
def test_kill_at_any_byte_of_a_batch_loses_that_batch_at_most(name: str, tmp_path: Path) -> None:
    """The records of a batch are written before its entries of the index."""
    store = open_store(tmp_path)
    append(store, 0, 1)
    sizes = {file: (store.folder / file).stat().st_size for file in (RECORDS, INDEX)}
    append(store, 2, 3)
    whole = {file: (store.folder / file).read_bytes() for file in (RECORDS, INDEX)}
    for cut in range(sizes[name], len(whole[name]) + 1, 5):
        (store.folder / RECORDS).write_bytes(whole[RECORDS][: cut if name == RECORDS else None])
        index = whole[INDEX][: cut if name == INDEX else sizes[INDEX]]
        (store.folder / INDEX).write_bytes(index)
        resumed = open_store(tmp_path)
        kept = [number for number in range(4) if key(number) in resumed]
        assert kept == list(range(len(index) // ENTRY.size))
        append(resumed, *range(len(kept), 5))
        for reader in (resumed, open_store(tmp_path)):
            for number in range(5):
                assert np.array_equal(reader.get(key(number))[0], features(number)[0])


def test_index_without_its_records_counts_for_nothing(tmp_path: Path) -> None:
    """A machine that loses its power may keep the index and lose the records."""
    store = open_store(tmp_path)
    append(store, 0, 1)
    records = store.folder / RECORDS
    records.write_bytes(records.read_bytes()[:-1])
    assert [number for number in range(2) if key(number) in open_store(tmp_path)] == [0]


def test_damaged_record_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    append(store, 0, 1)
    with (store.folder / RECORDS).open("r+b") as file:
        file.seek(30)
        file.write(b"x")
    damaged = open_store(tmp_path)
    assert np.array_equal(damaged.get(key(0))[0], features(0)[0])
    with pytest.raises(GenspotError, match=r"is damaged.*remove the folder"):
        damaged.get(key(1))
