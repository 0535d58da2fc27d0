"""The images that several tables of scores have in common, and what generators share of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.evaluation.accuracy import accuracy_cluster_contributions, accuracy_contributions
from genspot.evaluation.clusters import cluster_contributions
from genspot.evaluation.jackknife import Contributions, contributions
from genspot.evaluation.scores import check_finite

REAL = "/0_real/"  # of real images in the released layout


class Measure(NamedTuple):
    """What is estimated, by the contributions of images and by those of clusters."""

    key: str  # of the results
    of_images: Callable[[np.ndarray, np.ndarray], Contributions]  # labels and logits
    of_clusters: Callable[[np.ndarray, np.ndarray, np.ndarray], Contributions]  # and clusters


AP = Measure("ap", contributions, cluster_contributions)
ACCURACY = Measure("acc", accuracy_contributions, accuracy_cluster_contributions)


class GeneratorImages(NamedTuple):
    """The images of one generator that all of T tables have scored, and what they contribute."""

    pool: str  # the real set, or the generator if it has its own
    numbers: np.ndarray  # of its R real images or G clusters, equal for the same one of a pool
    images: int  # number of real and fake images
    clusters: int | None  # G; None if its images are drawn one by one
    tables: Sequence[Contributions]  # T of them: of clusters, or else of images


def shared_images(
    tables: list[pa.Table],
    real_sets: Mapping[str, str] | None,
    clusters: Mapping[str, str] | None = None,
    measure: Measure = AP,
) -> dict[str, GeneratorImages]:
    """Return the images in all tables, by generator with both classes, sorted by name.

    Args:
        tables: tables of scores.
        real_sets: generator → the set its real images come from; others have their own. Real
            images of a set are the same if class and path below 0_real are equal, clusters of a
            set if they have one name.
        clusters: generator → the column that names the cluster of an image; the images of other
            generators are drawn one by one.
        measure: what they contribute to.

    Raises:
        GenspotError: An image has two scores in one table, a logit is not finite, or a column of
            `clusters` is missing.
    """
    real_sets, clusters = real_sets or {}, clusters or {}
    indexes = [_row_index(table) for table in tables]
    labels = tables[0]["label"].to_numpy().astype(np.int64)
    columns = {name: _texts(tables[0], name) for name in {"class", *clusters.values()}}
    logits = [table["logit"].to_numpy() for table in tables]
    for one in logits:
        check_finite(one, "the scores")
    numbers: dict[tuple[str, ...], int] = {}  # of the real images and of the clusters
    result = {}
    keys = sorted(set(indexes[0]).intersection(*indexes[1:]))
    for name, group in groupby(keys, key=lambda key: key[0]):
        members = list(group)
        rows = [[index[key] for key in members] for index in indexes]
        own = labels[rows[0]]
        if len(set(own.tolist())) < 2:
            continue
        own_logits = [table[row] for table, row in zip(logits, rows, strict=True)]
        parts: list[Contributions] = []
        units: list[tuple[str, ...]] = []
        if name in clusters:
            found = [columns[clusters[name]][row] for row in rows[0]]
            places = {cluster: place for place, cluster in enumerate(dict.fromkeys(found))}
            of_images = np.array([places[cluster] for cluster in found])
            parts += [measure.of_clusters(own, each, of_images) for each in own_logits]
            units += [(cluster,) for cluster in places]
        else:
            parts += [measure.of_images(own, each) for each in own_logits]
            units += _real_names(
                [
                    (columns["class"][row], path.replace("\\", "/"))
                    for row, (_, path) in zip(rows[0], members, strict=True)
                    if labels[row] == 0
                ]
            )
        pool = f"the set {real_sets[name]}" if name in real_sets else name
        known = [numbers.setdefault((pool, *unit), len(numbers)) for unit in units]
        drawn = len(units) if name in clusters else None
        result[name] = GeneratorImages(pool, np.array(known), len(members), drawn, parts)
    return result


def _texts(table: pa.Table, column: str) -> list[str]:
    if column not in table.column_names:
        raise GenspotError(f"the table has no column {column}, which clusters names")
    return table[column].cast(pa.string()).to_pylist()


def _real_names(images: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (class, path within the folder 0_real of the class) of images (class, path).

    Folders below may be named 0_real as well, so the one that counts is common to all images of
    the class. Without one, as in lists, the whole path counts.
    """
    paths: dict[str, list[str]] = {}
    for class_name, path in images:
        paths.setdefault(class_name, []).append(path)
    folders = {}
    for name, of_class in paths.items():
        common = os.path.commonprefix(of_class)  # noqa: RUF071 (up to REAL, these are folders)
        folders[name] = "".join(common.rpartition(REAL)[:2])
    return [(name, path[len(folders[name]) :]) for name, path in images]


def _row_index(table: pa.Table) -> dict[tuple[str, str], int]:
    """Return (generator, path) → row."""
    names = table["generator"].cast(pa.string()).to_pylist()
    index: dict[tuple[str, str], int] = {}
    for row, key in enumerate(zip(names, table["path"].to_pylist(), strict=True)):
        if index.setdefault(key, row) != row:
            raise GenspotError(
                f"{key[1]} has two scores for generator {key[0]}; give a table of one test"
            )
    return index
