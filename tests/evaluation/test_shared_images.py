"""Which real images generators share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.evaluation.shared_images import shared_images
from helpers.scores import ScoreRow, make_scores


def test_shared_images_nested_and_linked_real_images_are_told_apart_by_their_own_paths() -> None:
    files = ["a.png", "sub/a.png", "0_real/a.png", "0_real/sub/a.png", "1_fake/a.png"]
    rows = [(name, "cat", file, 0, k + 0.5) for name in "xy" for k, file in enumerate(files)]
    rows += [("x", "dog", file, 0, k) for k, file in enumerate(files)]  # linked, counts again
    rows += [(name, "cat", f"{k}.png", 1, 2.0 * k) for name in "xy" for k in range(3)]
    scores = make_scores(rows)
    shared = shared_images([scores], {"x": "s", "y": "s"})
    numbers = {name: set(images.numbers.tolist()) for name, images in shared.items()}
    assert {name: len(own) for name, own in numbers.items()} == {"x": 10, "y": 5}
    assert numbers["y"] < numbers["x"]
    # Sets of their own have no image in common, even one with the name of a generator.
    for real_sets in ({}, {"x": "s", "y": "t"}, {"x": "y"}):
        own = [
            set(images.numbers.tolist()) for images in shared_images([scores], real_sets).values()
        ]
        assert [len(numbers) for numbers in own] == [10, 5] and not own[0] & own[1]


def test_shared_images_leaves_out_generators_of_one_class() -> None:
    rows: list[ScoreRow] = [("a", "", "0.png", 0, 1.0), ("b", "", "0.png", 1, 1.0)]
    rows += [("c", "", "0.png", 0, -1.0), ("c", "", "0.png", 1, 1.0)]
    assert list(shared_images([make_scores(rows)], None)) == ["c"]
    assert shared_images([make_scores([])], None) == {}


def test_shared_images_image_with_two_scores_raises() -> None:
    scores = make_scores([("a", "", "0.png", 0, 1.0), ("a", "", "0.png", 1, 2.0)])
    with pytest.raises(GenspotError, match=r"/a//0_real/0\.png has two scores"):
        shared_images([pa.concat_tables([scores, scores.slice(0, 1)])], None)


def test_shared_images_logits_that_are_not_finite_raise_their_number() -> None:
    scores = make_scores([("a", "", "0.png", 0, np.nan), ("a", "", "0.png", 1, np.inf)])
    with pytest.raises(GenspotError, match=": 2 logits are not finite"):
        shared_images([scores], None)


def test_shared_images_of_a_list_with_several_folders_are_told_apart_by_their_whole_paths() -> (
    None
):
    paths = [
        "/a/cat/0_real/0.png",
        "/a/dog/0_real/0.png",
        "/a/bird/0_real/0.png",
        "/a/1_fake/0.png",
    ]
    table = {"generator": [], "class": [], "path": [], "label": [], "logit": []}
    for name in "xy":
        for number, path in enumerate(paths):
            row = (name, "", path, int(number == 3), float(number))
            for column, value in zip(table.values(), row, strict=True):
                column.append(value)
    shared = shared_images([pa.table(table)], {"x": "s", "y": "s"})
    assert [images.numbers.tolist() for images in shared.values()] == [[0, 1, 2], [0, 1, 2]]
