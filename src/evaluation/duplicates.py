"""Images that occur more than once: equal files, equal pixels, other compression, near duplicates.

Near duplicates are found by a perceptual hash (pHash, 64 bits): the signs of the lowest
frequencies of a small grey copy of the image. Every two hashes that differ in at most `MAX_BITS`
bits are found: of `MAX_BITS` + 1 bands of bits, at least one is equal in both, so that only hashes
with an equal band are compared. Then the small copies (thumbnails) decide.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

SAME_FILE, SAME_PIXELS, RECOMPRESSED, NEAR = range(4)
KINDS = ("equal files", "equal pixels", "other compression", "near duplicates")

MAX_BITS = 4  # of 64; a copy of JPEG quality 30, or of half the size, seldom differs in more
MIN_CORRELATION = 0.97  # of the thumbnails of near duplicates
MAX_DIFFERENCE = 2.0  # mean grey levels, of the thumbnails of images that differ in compression
MIN_CONTRAST = 8.0  # standard deviation in grey levels; the hash of a flatter image is noise
MAX_PAIRS = 2_000_000  # of near duplicates, for the memory; then the search ends, and says so
HASH_BITS = 64
BLOCK = 4096  # thumbnails that are compared at once


class Pairs(NamedTuple):
    """Pairs of images, one entry of each array a pair.

    An image with equal file or pixels is paired with the first such image alone, and only that
    one has near duplicates.
    """

    first: np.ndarray  # int64, row of an image in the table of probes
    second: np.ndarray  # int64, row of another image, greater than the first
    kind: np.ndarray  # uint8, place in `KINDS`
    bits: np.ndarray  # uint8, in which the hashes differ; 0 for equal files and pixels
    complete: bool  # False: the search ended at `MAX_PAIRS` near duplicates
    flat: int  # images that are nearly uniform, which have no near duplicates


class Copies(NamedTuple):
    """In which groups of images each of N images has copies: two arrays N×G of truth values.

    A near duplicate of an image is one of all that have equal pixels. A near duplicate of a near
    duplicate does not count.
    """

    equal: np.ndarray  # whether another image of the group has equal pixels
    near: np.ndarray  # whether one of the group is a near duplicate, or has other compression


def find_pairs(probes: pa.Table) -> Pairs:
    """Return the pairs among images.

    Args:
        probes: a row for each image, with the columns file_digest, pixel_digest and thumbnail
            (grey, uint8), each fixed_size_binary, phash (uint64), width and height.
    """
    rows = np.arange(len(probes))
    by_file, by_pixels = (
        _first_equal_value(probes[name]) for name in ("file_digest", "pixel_digest")
    )
    near, complete, flat = _near_pairs(probes, by_pixels == rows)
    parts = [near]
    copied = by_file != rows
    for kind, chosen, first in (
        (SAME_FILE, copied, by_file),
        (SAME_PIXELS, ~copied & (by_pixels != rows), by_pixels),
    ):
        second = rows[chosen]
        parts.append(np.stack([first[chosen], second, 0 * second + kind, 0 * second]))
    first, second, kind, bits = np.concatenate(parts, axis=1)
    order = np.lexsort((second, first, kind))
    kind, bits = (column[order].astype(np.uint8) for column in (kind, bits))
    return Pairs(first[order], second[order], kind, bits, complete, flat)


def connected(pairs: Pairs, images: int) -> np.ndarray:
    """Return a number for each of the images, the same for those that pairs connect."""
    ones = np.ones(len(pairs.first), np.int8)
    links = coo_array((ones, (pairs.first, pairs.second)), shape=(images, images))
    return np.asarray(connected_components(links, directed=False)[1])


def copies_by_group(pairs: Pairs, group: np.ndarray, groups: int) -> Copies:
    """Return in which groups each image has copies.

    Args:
        pairs: among N images.
        group: number of the group of each image, N.
        groups: how many there are, G.
    """
    images = len(group)
    leader = first_equal(pairs, images)
    near = pairs.kind >= RECOMPRESSED
    one, other = pairs.first[near], pairs.second[near]
    ends = (np.concatenate([one, other]), np.concatenate([other, one]))
    links = csr_array((np.ones(len(ends[0]), np.int32), ends), shape=(images, images))
    found = Copies(np.zeros((images, groups), bool), np.zeros((images, groups), bool))
    for number in range(groups):
        members = group == number
        count = np.bincount(leader[members], minlength=images)
        found.equal[:, number] = count[leader] > members
        found.near[:, number] = (links @ count)[leader] > 0
    return found


def first_equal(pairs: Pairs, images: int) -> np.ndarray:
    """Return the row of the first image with the pixels of each image, N."""
    leader = np.arange(images)
    for kind in (SAME_PIXELS, SAME_FILE):  # the first of equal files may have equal pixels itself
        chosen = pairs.kind == kind
        leader[pairs.second[chosen]] = leader[pairs.first[chosen]]
    return leader


def copies_of(row: int, pairs: Pairs, leader: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the images with equal pixels, and of the near duplicates, of one image.

    Args:
        row: of the image.
        pairs: among N images.
        leader: see `first_equal`, N.
    """
    equal = np.flatnonzero(leader == leader[row])
    near = pairs.kind >= RECOMPRESSED
    ends = [pairs.first[near], pairs.second[near]]
    leaders = [other[one == leader[row]] for one, other in (ends, ends[::-1])]
    return equal[equal != row], np.flatnonzero(np.isin(leader, np.concatenate(leaders)))


def close_hashes(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (places, places) of all pairs of hashes that differ in at most `MAX_BITS` bits.

    Each pair comes once. Memory grows with the number of hashes, not with its square.

    Args:
        hashes: uint64, N.
    """
    edges = np.linspace(0, HASH_BITS, MAX_BITS + 2).astype(int).tolist()
    masks = [np.uint64((1 << high) - (1 << low)) for low, high in itertools.pairwise(edges)]
    for number, mask in enumerate(masks):
        order = np.argsort(hashes & mask, kind="stable")
        ordered = hashes[order]
        keys, places, step = ordered & mask, np.arange(len(hashes)), 1
        while places.size:  # each hash with the one that is `step` places further
            places = places[: np.searchsorted(places, len(hashes) - step)]
            places = places[keys[places] == keys[places + step]]
            different = ordered[places] ^ ordered[places + step]
            close = np.bitwise_count(different) <= MAX_BITS
            for earlier in masks[:number]:  # where an earlier band is equal, the pair came then
                close &= different & earlier != 0
            if close.any():
                yield order[places[close]], order[places[close] + step]
            step += 1


def _near_pairs(probes: pa.Table, chosen: np.ndarray) -> tuple[np.ndarray, bool, int]:
    """Return the pairs among the `chosen` images, 4×P: first, second, kind and bits.

    Also whether they are complete, and how many of all images are nearly uniform.
    """
    thumbnails = _thumbnails(probes)
    contrast = [part.std(axis=1, dtype=np.float32) for part in _blocks(thumbnails)]
    high = np.concatenate([np.zeros(0), *contrast]) >= MIN_CONTRAST
    rows = np.flatnonzero(chosen & high)
    hashes = probes["phash"].to_numpy()[rows]
    sides = np.stack([probes[name].to_numpy() for name in ("width", "height")])
    found, count = [np.zeros((4, 0), np.int64)], 0
    for places in close_hashes(hashes):
        for one, other in zip(*map(_blocks, places), strict=True):
            first, second = np.sort(np.stack([rows[one], rows[other]]), axis=0)
            correlation, difference = _compare(thumbnails[first], thumbnails[second])
            recompressed = (sides[:, first] == sides[:, second]).all(axis=0)
            recompressed &= difference <= MAX_DIFFERENCE
            kind = np.where(recompressed, RECOMPRESSED, NEAR)
            bits = np.bitwise_count(hashes[one] ^ hashes[other])
            kept = recompressed | (correlation >= MIN_CORRELATION)
            found.append(np.stack([first, second, kind, bits])[:, kept])
            count += int(kept.sum())
        if count > MAX_PAIRS:
            break
    return np.concatenate(found, axis=1), count <= MAX_PAIRS, int((~high).sum())


def _thumbnails(probes: pa.Table) -> np.ndarray:
    """Return the thumbnails, N×pixels, uint8."""
    column = probes["thumbnail"]
    shape = (-1, column.type.byte_width)
    parts = [np.zeros((0, shape[1]), np.uint8)]
    for chunk in column.chunks:
        values = np.frombuffer(chunk.buffers()[1] or b"", np.uint8).reshape(shape)
        parts.append(values[chunk.offset : chunk.offset + len(chunk)])
    return np.concatenate(parts)


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), BLOCK):
        yield values[start : start + BLOCK]


def _compare(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation and the mean difference of thumbnails N×pixels, row by row."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    difference = np.abs(one - other).mean(axis=1)
    one -= one.mean(axis=1, keepdims=True)
    other -= other.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms, difference


def _first_equal_value(column: pa.ChunkedArray) -> np.ndarray:
    """Return for each value the place of the first equal one."""
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return np.asarray(first[codes])
