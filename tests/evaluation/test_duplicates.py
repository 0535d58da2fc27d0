"""Duplicates among images, against plain loops and known copies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from genspot.evaluation import duplicates
from genspot.evaluation.duplicates import (
    KINDS,
    MAX_BITS,
    close_hashes,
    connected,
    copies_by_group,
    find_pairs,
)
from helpers.faulty_sets import draw
from helpers.image_probes import jpeg_bytes, png_bytes, probe_files


def found(files: list[bytes]) -> list[tuple[int, int, str]]:
    pairs = find_pairs(probe_files(files))
    kinds = [KINDS[kind] for kind in pairs.kind]
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), kinds, strict=True))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return draw(0, 20)[0]


def test_close_hashes_of_random_and_changed_hashes_equal_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 300, dtype=np.uint64)
    for place in range(100):  # up to six bits of a hundred of them changed, some more than allowed
        changed = hashes[place]
        for bit in rng.choice(64, place % 7, replace=False):
            changed ^= np.uint64(1) << np.uint64(bit)
        hashes[200 + place] = changed
    expected = [
        (one, other)
        for one in range(300)
        for other in range(one + 1, 300)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= MAX_BITS
    ]
    got = [pair for ends in close_hashes(hashes) for pair in zip(*ends, strict=True)]
    assert sorted(tuple(sorted(map(int, pair))) for pair in got) == expected
    assert len(expected) >= 70


def test_close_hashes_of_equal_hashes_are_all_pairs_once():
    got = [
        pair
        for ends in close_hashes(np.full(50, 2**63 + 5, np.uint64))
        for pair in zip(*ends, strict=True)
    ]
    assert len(got) == len({tuple(sorted(map(int, pair))) for pair in got}) == 50 * 49 // 2


@pytest.mark.parametrize("count", [0, 1])
def test_close_hashes_of_no_pair_are_none(count):
    assert list(close_hashes(np.zeros(count, np.uint64))) == []


def test_find_pairs_of_different_photos_is_empty(photos):
    assert found([png_bytes(photo) for photo in photos]) == []


def test_find_pairs_of_no_images_is_empty():
    assert found([]) == []


def test_find_pairs_names_each_kind_of_copy(photos):
    photo, other = photos[:2]
    small = photo.resize((80, 80), Image.Resampling.BICUBIC)
    files = [
        png_bytes(other),
        png_bytes(photo),
        png_bytes(photo),
        png_bytes(photo, 0),
        jpeg_bytes(photo, 60),
        png_bytes(small),
    ]
    assert found(files) == [
        (1, 2, "equal files"),
        (1, 3, "equal pixels"),
        (1, 4, "other compression"),
        (1, 5, "near duplicates"),
        (4, 5, "near duplicates"),
    ]


def test_find_pairs_finds_jpeg_and_resized_copies_of_nearly_all_photos():
    photos = draw(1, 60)[0]
    for change in (
        lambda photo: jpeg_bytes(photo, 30),
        lambda photo: png_bytes(photo.resize((64, 64), Image.Resampling.LANCZOS)),
        lambda photo: png_bytes(photo.resize((200, 200), Image.Resampling.BICUBIC)),
    ):
        files = [*map(png_bytes, photos), *map(change, photos)]
        pairs = {(one, other) for one, other, _ in found(files)}
        assert len(pairs & {(place, place + 60) for place in range(60)}) >= 58
        assert len(pairs) <= 60


def test_find_pairs_misses_flipped_and_cropped_copies(photos):
    """The documentation says so."""
    photo = photos[0]
    files = [photo, ImageOps.mirror(photo), photo.rotate(90), photo.crop((0, 0, 90, 90))]
    assert found([png_bytes(one) for one in files]) == []


def test_find_pairs_of_flat_images_joins_equal_ones_alone():
    rng = np.random.default_rng(0)
    noise = [
        Image.fromarray(np.uint8(level + rng.integers(0, 3, (64, 64, 3))))
        for level in (0, 90, 180, 250)
    ]
    white = Image.new("RGB", (64, 64), "white")
    files = [*map(png_bytes, noise), png_bytes(white), png_bytes(white, 0)]
    assert found(files) == [(4, 5, "equal pixels")]
    assert find_pairs(probe_files(files)).flat == 6


def test_find_pairs_of_a_sliced_table_equals_those_of_its_copy(photos):
    table = probe_files([png_bytes(one) for one in [*photos[:3], photos[1]]])
    sliced = pa.concat_tables([table.slice(1, 1), table.slice(2)])
    pairs = find_pairs(sliced)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [2])


def test_find_pairs_ends_at_the_limit_and_says_so(photos, monkeypatch):
    files = [jpeg_bytes(photos[0], quality) for quality in range(60, 80)]
    assert find_pairs(probe_files(files)).complete
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 20)
    pairs = find_pairs(probe_files(files))
    assert not pairs.complete
    assert 20 < len(pairs.first) < 190


def test_connected_joins_chains_of_pairs(photos):
    files = [png_bytes(photos[0]), png_bytes(photos[1]), jpeg_bytes(photos[0], 60)]
    pairs = find_pairs(probe_files([*files, files[0]]))
    groups = connected(pairs, 4)
    assert groups[0] == groups[2] == groups[3] != groups[1]


def test_copies_by_group_equals_a_plain_loop_over_images(photos):
    rng = np.random.default_rng(0)
    copies = [png_bytes, lambda photo: png_bytes(photo, 0), lambda photo: jpeg_bytes(photo, 70)]
    files = [copies[rng.integers(3)](photos[rng.integers(8)]) for _ in range(60)]
    group = rng.integers(0, 5, 60)
    table = probe_files(files)
    pairs = find_pairs(table)
    pixels = table["pixel_digest"].to_pylist()
    near = {
        frozenset((pixels[a], pixels[b])) for a, b in zip(pairs.first, pairs.second, strict=True)
    }
    equal, close = np.zeros((60, 5), bool), np.zeros((60, 5), bool)
    for one in range(60):
        for other in range(60):
            if one != other and pixels[one] == pixels[other]:
                equal[one, group[other]] = True
            elif frozenset((pixels[one], pixels[other])) in near and one != other:
                close[one, group[other]] = True
    got = copies_by_group(pairs, group, 5)
    assert np.array_equal(got.equal, equal)
    assert np.array_equal(got.near, close)
    assert equal.any() and close.any()
