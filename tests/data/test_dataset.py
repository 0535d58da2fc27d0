"""A sample depends on (seed, epoch, row) alone, and unreadable files are replaced or reported."""

from __future__ import annotations

import sys
from pathlib import Path

import albumentations
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from genspot.augment.jpeg import JPEG
from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.dataset import (
    DEGRADATIONS,
    MAX_JPEG_SIDE,
    MAX_SUBSTITUTES,
    ImageDataset,
    Sample,
    collate,
)
from genspot.data.layout import sample_table
from genspot.data.loaders import eval_loader
from helpers.arrays import make_noise
from helpers.errors import error_of
from helpers.packed_sets import make_augmentation

ROWS = 7
INDICES = [(epoch, row) for epoch in (0, 1) for row in range(ROWS)]


@pytest.fixture
def table(tmp_path: Path) -> pa.Table:
    for row in range(ROWS):
        Image.fromarray(make_noise(24, 20, row)).save(tmp_path / f"{row}.png")
    return sample_table((str(tmp_path / f"{row}.png"), "gan", "", row % 2) for row in range(ROWS))


def make_training_dataset(table: pa.Table, seed: int = 0) -> ImageDataset:
    return ImageDataset(table, make_augmentation(), Geometry(crop=8), train=True, seed=seed)


def damage(table: pa.Table, *rows: int) -> None:
    for row in rows:
        Path(table["path"][row].as_py()).write_bytes(b"no\nimage")


def pixels(dataset: ImageDataset, epoch: int, row: int) -> np.ndarray:
    image = dataset[epoch, row]["image"]
    assert image is not None
    return image


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 3), (2, 5)])
def test_sample_depends_on_seed_epoch_and_row_alone(
    table: pa.Table, workers: int, batch_size: int
) -> None:
    expected = {index: pixels(make_training_dataset(table), *index) for index in INDICES}
    loader = DataLoader(
        make_training_dataset(table),
        batch_size,
        sampler=INDICES[::-1],
        num_workers=workers,
        collate_fn=collate,
    )
    found = [
        (row, image)
        for batch in loader
        for row, image in zip(batch["row"].tolist(), batch["image"], strict=True)
    ]
    for index, (row, image) in zip(INDICES[::-1], found, strict=True):
        assert row == index[1]
        np.testing.assert_array_equal(image, expected[index])


def test_samples_of_epochs_seeds_and_rows_differ(table: pa.Table) -> None:
    same = pa.concat_tables([table.slice(0, 1)] * 2)
    images = [
        pixels(make_training_dataset(same, seed), epoch, row).tobytes()
        for seed in (0, 1)
        for epoch in range(5)
        for row in (0, 1)
    ]
    assert len(set(images)) == len(images)


def test_sample_is_resized_then_cropped(table: pa.Table) -> None:
    image = np.asarray(Image.open(table["path"][0].as_py()))
    np.testing.assert_array_equal(pixels(ImageDataset(table), 0, 0), image)
    for geometry, shape in (
        (Geometry(resize=10), (12, 10, 3)),
        (Geometry(resize=10, crop=8), (8, 8, 3)),
        (Geometry(resize=(9, 30)), (9, 30, 3)),
        (Geometry(resize=(9, 30), crop=20), (20, 20, 3)),
    ):
        assert pixels(ImageDataset(table, geometry=geometry), 0, 0).shape == shape


def test_padded_is_true_for_images_smaller_than_the_crop(table: pa.Table) -> None:
    for train in (False, True):
        padded = {
            crop: ImageDataset(table, geometry=Geometry(crop=crop), train=train)[0, 0]["padded"]
            for crop in (None, 20, 21, 24, 25)
        }
        assert padded == {None: False, 20: False, 21: True, 24: True, 25: True}
    assert not ImageDataset(table, geometry=Geometry(30, 30))[0, 0]["padded"]


@pytest.mark.parametrize(("side", "crop", "padded"), [(16, 17, True), (30, 25, False)])
def test_padded_is_that_of_the_degraded_image(
    side: int, crop: int, padded: bool, table: pa.Table
) -> None:
    resize = albumentations.Compose([albumentations.Resize(side, side, p=1)])
    dataset = ImageDataset(table, resize, Geometry(crop=crop), setting=DEGRADATIONS)
    assert dataset[0, 0]["padded"] == padded


@pytest.mark.parametrize("geometry", [Geometry(crop=4), Geometry(resize=(4, 4))])
def test_training_flips_about_half_of_the_images(tmp_path: Path, geometry: Geometry) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 0] = 255
    edge = sample_table([("edge.png", "gan", "", 0)])
    train = ImageDataset(edge, geometry=geometry, train=True, read=lambda _: image)
    flipped = [bool(pixels(train, epoch, 0)[0, -1, 0]) for epoch in range(500)]
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.08)
    evaluation = ImageDataset(edge, geometry=geometry, read=lambda _: image)
    assert all(pixels(evaluation, epoch, 0)[0, 0, 0] for epoch in range(50))


@pytest.mark.parametrize(("flip", "share"), [(0.0, 0.0), (0.9, 0.9), (1.0, 1.0)])
def test_training_flips_with_the_probability_that_is_set(flip: float, share: float) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 0] = 255
    edge = sample_table([("edge.png", "gan", "", 0)])
    train = ImageDataset(edge, geometry=Geometry(4), train=True, read=lambda _: image, flip=flip)
    flipped = [bool(pixels(train, epoch, 0)[0, -1, 0]) for epoch in range(300)]
    assert np.mean(flipped) == pytest.approx(share, abs=0.06 if 0 < flip < 1 else 0)


def test_training_crops_the_centre_where_the_geometry_says_so() -> None:
    image = np.arange(20 * 20 * 3).reshape(20, 20, 3).astype(np.uint8)
    table = sample_table([("a.png", "gan", "", 0)])
    train = ImageDataset(
        table, geometry=Geometry(crop=8, position="centre"), train=True, read=lambda _: image
    )
    found = {pixels(train, epoch, 0).tobytes() for epoch in range(20)}
    centre = image[6:14, 6:14]
    assert found == {centre.tobytes(), centre[:, ::-1].tobytes()}


def test_evaluation_of_an_unreadable_file_gives_no_image_and_a_reason(table: pa.Table) -> None:
    damage(table, 2)
    Path(table["path"][3].as_py()).unlink()
    dataset = ImageDataset(table, geometry=Geometry(crop=8))
    for row, reason in ((2, "no image of a known format"), (3, "FileNotFoundError")):
        sample = dataset[0, row]
        assert sample["image"] is None and sample["row"] == row and not sample["padded"]
        [(unreadable, text)] = sample["unreadable"]
        assert unreadable == row and reason in text and "\n" not in text


@pytest.mark.parametrize(("row", "broken", "substitute"), [(1, [1, 3], 5), (6, [6, 0], 2)])
def test_training_replaces_an_unreadable_file_by_the_next_of_its_label(
    table: pa.Table, row: int, broken: list[int], substitute: int
) -> None:
    damage(table, *broken)
    sample = make_training_dataset(table)[0, row]
    assert sample["row"] == substitute and sample["label"] == row % 2
    assert sample["image"] is not None and sample["image"].shape == (8, 8, 3)
    assert [number for number, _ in sample["unreadable"]] == broken
    own = make_training_dataset(table)[0, substitute]["image"]
    assert not np.array_equal(sample["image"], own)  # a substitute has its own augmentation


def test_training_without_a_readable_file_gives_no_image(table: pa.Table) -> None:
    damage(table, *range(ROWS))
    sample = make_training_dataset(table)[0, 3]
    assert sample["image"] is None and sample["row"] == 3
    assert [row for row, _ in sample["unreadable"]] == [3, 5, 1]
    many = pa.concat_tables([table] * 40)
    assert len(make_training_dataset(many)[0, 0]["unreadable"]) == MAX_SUBSTITUTES


def leave(image: np.ndarray, **_: object) -> np.ndarray:
    sys.exit(3)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (albumentations.ToFloat(p=1), "aug.train returns float32 of 24 × 20 × 3 for "),
        (albumentations.RandomCrop(22, 22, p=1), "aug.train fails on "),
        (albumentations.Lambda(image=leave, p=1), "aug.train fails on "),
    ],
)
def test_augmentation_that_gives_no_image_is_one_line(
    table: pa.Table, transform: albumentations.BasicTransform, expected: str, workers: int
) -> None:
    augment = albumentations.Compose([transform])
    dataset = ImageDataset(table, augment, Geometry(crop=8), train=True, setting="aug.train")
    loader = eval_loader(dataset, workers, batch_size=2, sampler=INDICES)
    message = error_of(lambda: next(iter(loader)))
    assert message.startswith(expected)
    assert f"{table['path'][0]} (20 × 24 pixels)" in message


def test_augmentation_that_returns_less_than_the_crop_is_one_line(table: pa.Table) -> None:
    augment = albumentations.Compose([albumentations.Resize(7, 9, p=1)])
    dataset = ImageDataset(table, augment, Geometry(crop=8), train=True, setting="aug.train")
    assert error_of(dataset.__getitem__, (0, 0)).startswith("aug.train returns 9 × 7 pixels for ")


def test_degradation_that_fails_makes_that_image_unreadable(table: pa.Table) -> None:
    augment = albumentations.Compose([albumentations.RandomCrop(22, 22, p=1)])
    dataset = ImageDataset(table, augment, Geometry(crop=8), setting=DEGRADATIONS)
    sample = dataset[0, 3]
    assert sample["image"] is None
    [(row, reason)] = sample["unreadable"]
    assert row == 3 and reason.startswith("degradations fails on ")


@pytest.mark.parametrize("where", ["read", "augmentation"])
def test_missing_memory_makes_that_image_alone_unreadable(where: str, table: pa.Table) -> None:
    def read(row: int) -> np.ndarray:
        if where == "read" and row == 1:
            raise MemoryError
        return np.full((9, 9, 3), row, np.uint8)

    def change(image: np.ndarray, **_: object) -> np.ndarray:
        if where == "augmentation" and image[0, 0, 0] == 1:
            raise MemoryError
        return image

    augment = albumentations.Compose([albumentations.Lambda(image=change, p=1)])
    dataset = ImageDataset(table, augment, Geometry(crop=8), read=read, setting="aug.val")
    assert [row for row in range(ROWS) if dataset[0, row]["image"] is None] == [1]
    [(_, reason)] = dataset[0, 1]["unreadable"]
    assert "not enough memory" in reason
    assert reason.startswith("aug.val: ") == (where == "augmentation")


def test_crop_of_a_large_image_does_not_keep_the_image(table: pa.Table) -> None:
    dataset = ImageDataset(table, geometry=Geometry(crop=8), read=lambda _: large.copy())
    for side, own in ((8, False), (16, False), (17, True)):
        large = make_noise(side, side, 0)
        crop = pixels(dataset, 0, 0)
        assert (crop.base is None) == own
        np.testing.assert_array_equal(crop, image_io.centre_crop(large, 8))


def test_limits_make_large_images_unreadable_with_a_reason(table: pa.Table) -> None:
    def read(row: int) -> np.ndarray:
        return np.broadcast_to(np.zeros(3, np.uint8), (1000, 1000 + row, 3))

    limits = {"max_megapixels": 1, "max_whole_megapixels": 1, "read": read}
    dataset = ImageDataset(table, geometry=Geometry(crop=8), **limits)  # type: ignore[arg-type]
    assert [dataset[0, row]["image"] is None for row in (0, 1)] == [False, True]
    assert "1001 × 1000 pixels are more than max_megapixels=1" in dataset[0, 1]["unreadable"][0][1]
    limits["max_megapixels"] = 2
    for geometry, refused in ((Geometry(crop=8), False), (Geometry(), True), (Geometry(9), False)):
        dataset = ImageDataset(table, geometry=geometry, **limits)  # type: ignore[arg-type]
        assert (dataset[0, 1]["image"] is None) == refused


def test_collate_images_of_different_sizes_raises() -> None:
    samples = [
        Sample(row=0, label=0, image=make_noise(side, 8, 0), padded=False, unreadable=[])
        for side in (8, 9)
    ]
    assert "(8 × 8, 8 × 9 pixels)" in error_of(collate, samples)


def test_image_too_long_for_jpeg_is_scored_but_not_degraded() -> None:
    table = sample_table([("a.png", "gan", "", 0)] * 2)

    def read(row: int) -> np.ndarray:
        return np.zeros((1, MAX_JPEG_SIDE + row, 3), np.uint8)

    geometry = Geometry(crop=8)
    plain = ImageDataset(table, geometry=geometry, read=read)
    degraded = ImageDataset(table, albumentations.Compose([JPEG(p=1)]), geometry, read=read)
    assert [plain[0, row]["image"] is None for row in (0, 1)] == [False, False]
    assert [degraded[0, row]["image"] is None for row in (0, 1)] == [False, True]
    assert f"{MAX_JPEG_SIDE + 1} × 1 pixels" in degraded[0, 1]["unreadable"][0][1]


def test_collate_leaves_out_unreadable_samples(table: pa.Table) -> None:
    damage(table, 1)
    dataset = ImageDataset(table, geometry=Geometry(crop=22), train=False)
    batch = collate([dataset[0, row] for row in (0, 1, 3)])
    assert batch["image"].shape == (2, 22, 22, 3) and batch["image"].dtype == np.uint8
    assert batch["row"].tolist() == [0, 3] and batch["label"].tolist() == [0, 1]
    assert batch["padded"].tolist() == [True, True]
    assert [row for row, _ in batch["unreadable"]] == [1]
    empty = collate([dataset[0, 1]])
    assert empty["image"] is None
    assert empty["label"].dtype == empty["row"].dtype == np.int64
    assert empty["padded"].dtype == bool and not len(empty["padded"])


def _invert(image: np.ndarray) -> np.ndarray:
    return 255 - image


def _refuse(image: np.ndarray) -> np.ndarray:
    raise ValueError("too dark")


def test_protocols_are_chosen_by_the_label_and_unknown_labels_are_no_fakes(
    table: pa.Table,
) -> None:
    plain = [pixels(ImageDataset(table), 0, row) for row in range(ROWS)]
    inverted = ImageDataset(table, protocols=(None, _invert))
    for row, label in enumerate(table["label"].to_pylist()):
        expected = 255 - plain[row] if label else plain[row]
        np.testing.assert_array_equal(pixels(inverted, 0, row), expected)
    place = table.column_names.index("label")
    unknown = table.set_column(place, "label", pa.array([-1] * ROWS, pa.int8()))
    photos = ImageDataset(unknown, protocols=(None, _invert))
    np.testing.assert_array_equal(pixels(photos, 0, 1), plain[1])


def test_protocol_that_fails_on_one_label_leaves_the_other_readable(table: pa.Table) -> None:
    dataset = ImageDataset(table, protocols=(_refuse, None))
    assert dataset[0, 0]["unreadable"] == [(0, "protocol: too dark")]
    assert dataset[0, 1]["image"] is not None
    assert dataset.protocol_fault([0, 2]) == "protocol: too dark"
    assert dataset.protocol_fault([0, 1]) is None
    assert ImageDataset(table).protocol_fault([0]) is None
