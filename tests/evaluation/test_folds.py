"""Which images stay together in folds."""

from __future__ import annotations

from collections import Counter

import numpy as np

from genspot.data.layout import sample_table
from genspot.evaluation.folds import fold_numbers, joined, scene_names


def test_scenes_stay_in_one_fold_and_folds_have_their_share_of_both_classes() -> None:
    rng = np.random.default_rng(0)
    pairs = [f"pair {number}" for number in range(40)] * 2
    labels = np.r_[np.zeros(40, int), np.ones(40, int), np.zeros(50, int), np.ones(30, int)]
    scenes = pairs + [f"single {number}" for number in range(80)]
    order = rng.permutation(160)
    labels, scenes = labels[order], [scenes[number] for number in order]
    folds = fold_numbers(labels, joined(scenes), seed=0)
    of_scene: dict[str, set[int]] = {}
    for scene, fold in zip(scenes, folds, strict=True):
        of_scene.setdefault(scene, set()).add(int(fold))
    assert all(len(found) == 1 for found in of_scene.values())
    counts = Counter(zip(folds.tolist(), labels.tolist(), strict=True))
    assert {counts[fold, 0] for fold in range(5)} == {18}
    assert {counts[fold, 1] for fold in range(5)} == {14}


def test_scene_names_are_class_and_stem() -> None:
    samples = sample_table(
        [("/a/0_real/x.png", "g", "cat", 0), ("/a/1_fake/x.jpg", "g", "cat", 1)]
    )
    assert scene_names(samples) == ["cat/x", "cat/x"]


def test_a_name_that_several_images_of_one_label_have_is_no_scene() -> None:
    paths = ("/a/1/x.png", "/a/2/x.png", "/a/3/x.png", "/a/3/y.png")
    samples = sample_table([(path, "g", "", int(path[3] == "3")) for path in paths])
    assert scene_names(samples) == [*paths[:3], "/y"]


def test_images_belong_together_through_others() -> None:
    found = joined(["a", "b", "c", "b", "d"], [1, 1, 2, 3, 4]).tolist()
    assert found[0] == found[1] == found[3]
    assert len({found[0], found[2], found[4]}) == 3
