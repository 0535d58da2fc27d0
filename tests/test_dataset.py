"""A sample depends on (seed, epoch, row) alone, and broken files are passed over."""

from __future__ import annotations

from pathlib import Path

import albumentations
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.data.dataset import STAND_INS, ImageDataset, collate
from genspot.data.layout import table
from genspot.data.datamodule import ImageDataModule

ROWS = 7
DRAWS = [(epoch, row) for epoch in (0, 1) for row in range(ROWS)]


@pytest.fixture
def rows(tmp_path: Path) -> pa.Table:
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, 24, 20, 3), dtype=np.uint8)
    for number, image in enumerate(noise):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    return table((str(tmp_path / f"{row}.png"), "gan", "", row % 2) for row in range(ROWS))


def degrade() -> albumentations.Compose:
    return albumentations.Compose([Blur(p=0.5), JPEG(p=0.5)])


def training(rows: pa.Table, seed: int = 0) -> ImageDataset:
    return ImageDataset(rows, degrade(), crop=8, train=True, seed=seed)


def damage(rows: pa.Table, *broken: int) -> None:
    for row in broken:
        Path(rows["path"][row].as_py()).write_bytes(b"no\nimage")


def pixels(dataset: ImageDataset, draw: tuple[int, int]) -> np.ndarray:
    image = dataset[draw]["image"]
    assert image is not None
    return image


@pytest.mark.parametrize(("workers", "batch"), [(0, 1), (0, 3), (1, 4), (2, 2), (2, 5)])
def test_a_sample_depends_on_seed_epoch_and_row_alone(
    rows: pa.Table, workers: int, batch: int
) -> None:
    expected = {draw: pixels(training(rows), draw) for draw in DRAWS}
    order = DRAWS[::-1]
    loader = DataLoader(
        training(rows), batch, sampler=order, num_workers=workers, collate_fn=collate
    )
    read = [
        (row, image)
        for batch in loader
        for row, image in zip(batch["row"].tolist(), batch["image"].numpy(), strict=True)
    ]
    assert [row for row, _ in read] == [row for _, row in order]
    for draw, (_, image) in zip(order, read, strict=True):
        np.testing.assert_array_equal(image, expected[draw])


def test_epochs_seeds_and_rows_draw_differently(rows: pa.Table) -> None:
    same = pa.concat_tables([rows.slice(0, 1)] * 2)
    images = [
        pixels(training(same, seed), (epoch, row)).tobytes()
        for seed in (0, 1)
        for epoch in range(5)
        for row in (0, 1)
    ]
    assert len(set(images)) == len(images)


def test_evaluation_degrades_the_same_in_each_pass(rows: pa.Table) -> None:
    dataset = ImageDataset(rows, degrade(), crop=8)
    for row in range(ROWS):
        np.testing.assert_array_equal(pixels(dataset, (0, row)), pixels(dataset, (0, row)))


def test_without_a_crop_the_size_is_kept(rows: pa.Table) -> None:
    for train in (False, True):
        image = pixels(ImageDataset(rows, train=train), (0, 0))
        np.testing.assert_array_equal(image, np.asarray(Image.open(rows["path"][0].as_py())))


def test_resize_comes_before_the_crop(rows: pa.Table) -> None:
    assert pixels(ImageDataset(rows, resize=10), (0, 0)).shape == (12, 10, 3)
    assert pixels(ImageDataset(rows, resize=10, crop=8), (0, 0)).shape == (8, 8, 3)


def test_padded_says_that_the_image_was_smaller_than_the_crop(rows: pa.Table) -> None:
    for train in (False, True):
        flags = {
            crop: ImageDataset(rows, crop=crop, train=train)[0, 0]["padded"]
            for crop in (None, 20, 21, 24, 25)
        }
        assert flags == {None: False, 20: False, 21: True, 24: True, 25: True}
    assert pixels(ImageDataset(rows, crop=30), (0, 0)).shape == (30, 30, 3)
    assert not ImageDataset(rows, resize=30, crop=30)[0, 0]["padded"]


def test_training_flips_about_half(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 0] = 255
    Image.fromarray(image).save(tmp_path / "edge.png")
    edge = table([(str(tmp_path / "edge.png"), "gan", "", 0)])
    train = ImageDataset(edge, crop=4, train=True)
    flipped = [bool(pixels(train, (epoch, 0))[0, -1, 0]) for epoch in range(500)]
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.08)
    evaluation = ImageDataset(edge, crop=4)
    assert all(pixels(evaluation, (epoch, 0))[0, 0, 0] for epoch in range(50))


def test_evaluation_says_why_a_file_cannot_be_read(rows: pa.Table) -> None:
    damage(rows, 2)
    sample = ImageDataset(rows, crop=8)[0, 2]
    assert sample["image"] is None and sample["row"] == 2 and not sample["padded"]
    [(row, reason)] = sample["unreadable"]
    assert row == 2 and reason and "\n" not in reason
    assert "UnidentifiedImageError" in reason


def test_a_missing_file_is_unreadable_too(rows: pa.Table) -> None:
    Path(rows["path"][0].as_py()).unlink()
    assert "FileNotFoundError" in ImageDataset(rows)[0, 0]["unreadable"][0][1]


@pytest.mark.parametrize(("first", "broken", "taken"), [(1, [1, 2], 3), (6, [6, 0], 1)])
def test_training_takes_the_next_readable_row(
    rows: pa.Table, first: int, broken: list[int], taken: int
) -> None:
    damage(rows, *broken)
    sample = training(rows)[0, first]
    assert sample["row"] == taken and sample["label"] == taken % 2
    assert sample["image"] is not None and sample["image"].shape == (8, 8, 3)
    assert [row for row, _ in sample["unreadable"]] == broken


def test_a_stand_in_is_drawn_otherwise_than_in_its_own_place(rows: pa.Table) -> None:
    damage(rows, 1)
    epochs = range(10)
    stand_ins = [pixels(training(rows), (epoch, 1)).tobytes() for epoch in epochs]
    own = [pixels(training(rows), (epoch, 2)).tobytes() for epoch in epochs]
    assert all(one != other for one, other in zip(stand_ins, own, strict=True))


def test_a_training_set_of_broken_files_ends(rows: pa.Table) -> None:
    damage(rows, *range(ROWS))
    sample = training(rows)[0, 3]
    assert sample["image"] is None and sample["row"] == 3
    assert [row for row, _ in sample["unreadable"]] == [3, 4, 5, 6, 0, 1, 2]
    many = pa.concat_tables([rows] * 20)
    assert len(training(many)[0, 0]["unreadable"]) == STAND_INS


def test_collate_leaves_out_the_unreadable(rows: pa.Table) -> None:
    damage(rows, 1)
    dataset = ImageDataset(rows, crop=22)
    batch = collate([dataset[0, row] for row in (0, 1, 3)])
    assert batch["image"].shape == (2, 22, 22, 3) and batch["image"].dtype == torch.uint8
    assert batch["row"].tolist() == [0, 3] and batch["label"].tolist() == [0, 1]
    assert batch["padded"].tolist() == [True, True] and batch["padded"].dtype == torch.bool
    assert [row for row, _ in batch["unreadable"]] == [1]


@pytest.mark.parametrize("broken", [[], [0, 1]])
def test_collate_keeps_its_types_where_nothing_is_readable(
    rows: pa.Table, broken: list[int]
) -> None:
    damage(rows, *broken)
    dataset = ImageDataset(rows, crop=8)
    batch = collate([dataset[0, row] for row in (0, 1)])
    assert (batch["image"] is None) == bool(broken)
    assert batch["label"].dtype == batch["row"].dtype == torch.int64
    assert len(batch["label"]) == len(batch["row"]) == len(batch["padded"]) == 2 - len(broken)


@pytest.mark.parametrize(
    ("batch", "rank", "world", "expected"),
    [
        (ROWS, 0, 1, None),
        (ROWS + 1, 0, 1, "batch_size=8 is more than the training set of 7 images"),
        (ROWS - 1, 1, 2, None),
        (ROWS + 1, 0, 2, "batch_size=8 is more than the training set of 6 images"),
        (ROWS + 1, 1, 2, None),  # the first process has said it
    ],
)
def test_a_batch_larger_than_the_training_set_is_one_step_and_said(
    rows: pa.Table,
    batch: int,
    rank: int,
    world: int,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ImageDataModule, "_rank", lambda _: (rank, world))
    module = ImageDataModule(None, {}, {"train": None}, {}, batch, 1, None, 8, 8, 0, seed=0)
    module.tables["train"] = rows
    (step,) = module.train_dataloader()
    assert len(step["label"]) == min(batch, ROWS) // world
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (expected is not None)
    assert all(expected in one for one in said if expected)


def test_flipped_crops_can_be_collated(rows: pa.Table) -> None:
    dataset = ImageDataset(rows, crop=8, train=True)
    batch = collate([dataset[draw] for draw in DRAWS])
    assert batch["image"].shape == (len(DRAWS), 8, 8, 3)
