"""What duplicates mean for the sets that hold them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from genspot.evaluation.duplicates import find_pairs
from genspot.evaluation.overlaps import RULES, ImageSet, Overlap, find_overlaps
from helpers.faulty_sets import draw
from helpers.image_probes import jpeg_bytes, png_bytes, probe_files

TRAIN, VAL = ImageSet("own", "train"), ImageSet("own", "val")
ONE, TWO = ImageSet("one", "test"), ImageSet("two", "test")


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    return draw(0, 20)[0]


def overlaps(*images: tuple[ImageSet, int, bytes]) -> dict[tuple[str, str, str], Overlap]:
    """Return (name, split, rule) → overlap of images: their set, label and file."""
    sets = list(dict.fromkeys(where for where, _, _ in images))
    set_of = np.array([sets.index(where) for where, _, _ in images])
    labels = np.array([label for _, label, _ in images])
    pairs = find_pairs(probe_files([file for _, _, file in images]))
    found = find_overlaps(pairs, sets, set_of, labels)
    return {(*one.where, one.rule): one for one in found}


def test_find_overlaps_of_different_images_is_empty(photos):
    sets = (TRAIN, VAL, ONE, TWO)
    images = [(sets[n % 4], n // 4 % 2, png_bytes(photo)) for n, photo in enumerate(photos)]
    assert overlaps(*images) == {}


def test_find_overlaps_counts_copies_across_splits(photos):
    files = [png_bytes(photo) for photo in photos]
    found = overlaps(
        (TRAIN, 0, files[0]),
        (TRAIN, 1, files[1]),
        (VAL, 0, files[0]),
        (VAL, 0, files[2]),
        (ONE, 1, jpeg_bytes(photos[1], 60)),
        (ONE, 0, files[2]),
        (ONE, 0, files[3]),
    )
    counts = {key: (one.equal, one.near, one.total, one.judgement) for key, one in found.items()}
    assert counts == {
        ("own", "val", "validation images in the training set"): (1, 0, 2, "decisive"),
        ("one", "test", "test images in the training set"): (0, 1, 3, "decisive"),
        ("one", "test", "test images in the validation set"): (1, 0, 3, "decisive"),
    }
    assert found["one", "test", "test images in the training set"].rows.tolist() == [4]
    assert found["one", "test", "test images in the validation set"].others == (VAL,)


def test_find_overlaps_of_equal_pixels_under_both_labels_is_an_error_of_the_labels(photos):
    file = png_bytes(photos[0])
    found = overlaps((ONE, 0, file), (ONE, 1, png_bytes(photos[0], 0)), (TWO, 1, file))
    rule = "images under both labels"
    assert found["one", "test", rule].equal == 2
    assert found["one", "test", rule].others == (TWO,)
    assert found["two", "test", rule].equal == 1
    assert "same scene as real and fake" not in {key[2] for key in found}


def test_find_overlaps_counts_a_training_image_with_another_label_as_a_leak(photos):
    file = png_bytes(photos[0])
    found = overlaps((TRAIN, 0, file), (ONE, 1, file))
    assert found["one", "test", "test images in the training set"].equal == 1


def test_find_overlaps_of_a_real_image_and_its_translation_is_the_same_scene_and_no_fault(photos):
    images = []
    for photo in photos[:5]:
        changed = Image.fromarray(np.uint8(np.asarray(photo) * 0.95))
        images += [(ONE, 0, png_bytes(photo)), (ONE, 1, png_bytes(changed))]
    found = overlaps(*images)
    assert {key[2] for key in found} == {"same scene as real and fake"}
    (scene,) = found.values()
    assert (scene.images, scene.total, scene.judgement, scene.others) == (10, 10, "none", ())


def test_find_overlaps_between_test_sets_tells_shared_reals_from_shared_fakes(photos):
    files = [png_bytes(photo) for photo in photos]
    found = overlaps(
        *((where, 0, file) for where in (ONE, TWO) for file in files[:4]),
        *((ONE, 1, file) for file in files[4:8]),
        *((TWO, 1, file) for file in files[7:11]),
    )
    reals = found["one", "test", "real images of another test set"]
    assert (reals.images, reals.total, reals.judgement) == (4, 4, "none")
    fakes = found["two", "test", "fakes of another test set"]
    assert (fakes.images, fakes.total, fakes.judgement) == (1, 4, "slight")


def test_find_overlaps_of_fakes_that_two_generators_render_alike_is_empty(photos):
    found = overlaps((ONE, 1, png_bytes(photos[0])), (TWO, 1, jpeg_bytes(photos[0], 80)))
    assert found == {}


def test_find_overlaps_counts_each_image_of_a_repeated_group(photos):
    files = [png_bytes(photo) for photo in photos[:8]]
    found = overlaps(*((ONE, 0, file) for file in [*files, files[0], files[0]]))
    (repeats,) = found.values()
    assert (repeats.rule, repeats.equal, repeats.total) == ("repeated images", 3, 10)
    assert repeats.rows.tolist() == [0, 8, 9]
    assert repeats.judgement == "slight"


def test_find_overlaps_of_a_compressed_repeat_is_nearly_repeated(photos):
    found = overlaps((ONE, 0, png_bytes(photos[0])), (ONE, 0, jpeg_bytes(photos[0], 60)))
    (repeats,) = found.values()
    assert (repeats.rule, repeats.near, repeats.judgement) == (
        "nearly repeated images",
        2,
        "slight",
    )


@pytest.mark.parametrize(
    ("rule", "images", "judgement"),
    [
        ("test images in the training set", 1, "slight"),
        ("test images in the training set", 10, "slight"),
        ("test images in the training set", 11, "decisive"),
        ("test images in the validation set", 100, "slight"),
        ("test images in the validation set", 101, "decisive"),
        ("repeated images", 10, "none"),
        ("repeated images", 11, "slight"),
        ("repeated images", 501, "decisive"),
        ("nearly repeated images", 1000, "slight"),
        ("real images of another test set", 1000, "none"),
    ],
)
def test_overlap_is_judged_by_its_share(rule, images, judgement):
    one = Overlap(rule, ONE, (), images, 0, 1000, np.arange(images))
    assert one.judgement == judgement
    assert one.fix == RULES[rule].fix


def test_overlap_text_says_how_many_of_what_and_where():
    rows = np.arange(3)
    one = Overlap("fakes of another test set", ONE, (TWO,), 3, 0, 2000, rows)
    assert one.text == "3 of 2,000 fakes (0.1%) are fakes of another test set too (two)."
    leak = Overlap("test images in the training set", ONE, (TRAIN,), 2, 1, 30, rows)
    assert leak.text == (
        "3 of 30 images (10.0%) are in the training set too: 2 pixel by pixel, 1 nearly."
    )
