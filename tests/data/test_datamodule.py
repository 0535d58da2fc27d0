"""The data module builds, finds and splits its sets, and says in one line what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genspot.common.geometry import Geometry
from genspot.data.datamodule import ImageDataModule
from genspot.data.layout import sample_table
from genspot.data.loaders import ResumableDataLoader
from genspot.data.packed.writer import pack
from genspot.data.settings import MIN_SIMULATION, Loading, Simulation, TestSet, TrainingSet
from genspot.data.simulated import build as simulated_build
from helpers.errors import error_of
from helpers.images import save_image, save_set

LOADING = Loading(batch_size=4, eval_batch_size=3, workers=0, seed=0)
SIMULATION = Simulation(size=32, seed=0, train=7, super_resolved=7, val=1, test=3)
CROP = Geometry(crop=16)


def make_module(
    training_set: TrainingSet | None = None,
    *test_sets: TestSet,
    train: Geometry = CROP,
    test: Geometry = CROP,
    loading: Loading = LOADING,
    inputs: str | None = None,
) -> ImageDataModule:
    return ImageDataModule(
        training_set, list(test_sets), {}, train, test, loading, SIMULATION, inputs
    )


@pytest.fixture
def source(tmp_path: Path) -> TrainingSet:
    """Four classes for training, three images for validation."""
    for seed, name in enumerate(("ant", "bee", "cat", "dog")):
        save_set(tmp_path / "train" / name, 3, 2, seed)
    save_set(tmp_path / "val", 2, 1, seed=9)
    return TrainingSet("mine", str(tmp_path / "train"), str(tmp_path / "val"), "any")


def rows(loader: Any) -> list[list[int]]:
    return [batch["row"].tolist() for batch in loader]


def test_loaders_give_every_image_in_its_batches(source: TrainingSet, tmp_path: Path) -> None:
    test_set = TestSet("gan", str(save_set(tmp_path / "test", 2, 2)), None)
    module = make_module(source, test_set, TestSet("other", test_set.path, None))
    module.setup("fit")
    module.setup("test")
    train = module.train_dataloader()
    assert isinstance(train, ResumableDataLoader)
    assert [len(batch) for batch in rows(train)] == [4] * 5
    assert len({row for batch in rows(train) for row in batch}) == 20
    assert rows(module.val_dataloader()) == rows(module.calibration_dataloader()) == [[0, 1, 2]]
    assert rows(module.test_dataloader()) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert module.tables["test"]["generator"].to_pylist() == ["gan"] * 4 + ["other"] * 4
    table = module.tables["train"]
    module.setup("validate")
    assert module.tables["train"] is table


@pytest.mark.parametrize(
    ("geometry", "sizes"),
    [
        (Geometry(), [(20, 31), (40, 40)]),
        (Geometry(resize=10), [(10, 15), (10, 10)]),
        (Geometry(resize=(9, 8)), [(9, 8)]),
        (Geometry(resize=10, crop=12), [(12, 12)]),
    ],
)
def test_images_without_a_common_size_come_in_batches_of_one(
    geometry: Geometry, sizes: list[tuple[int, int]], tmp_path: Path
) -> None:
    save_image(tmp_path / "a.png", 0, fake=False, size=(20, 31))
    save_image(tmp_path / "b.png", 0, fake=False)
    module = make_module(test=geometry, inputs=str(tmp_path))
    module.setup("predict")
    batches = list(module.predict_dataloader())
    assert [tuple(batch["image"].shape[1:3]) for batch in batches] == sizes
    assert sum(len(batch["image"]) for batch in batches) == 2


def test_training_without_a_common_size_raises(source: TrainingSet) -> None:
    assert "model.train.crop=null" in error_of(lambda: make_module(source, train=Geometry(10)))
    make_module(source, train=Geometry((10, 10)))
    make_module(None, train=Geometry(10))


@pytest.mark.parametrize("num_classes", [1, 3, 4])
def test_num_classes_draws_classes_with_the_seed(source: TrainingSet, num_classes: int) -> None:
    drawn = set()
    for seed in range(20):
        for classes in ("any", ["ant", "bee", "cat", "dog"]):
            chosen = replace(source, num_classes=num_classes, classes=classes)
            module = make_module(chosen, loading=replace(LOADING, seed=seed))
            module.tables["val"] = sample_table([])  # has no classes here
            module.setup("fit")
            drawn.add((seed, tuple(sorted(set(module.tables["train"]["class"].to_pylist())))))
    assert len(drawn) == 20  # "any" and the list of the same classes draw the same
    choices = {classes for _, classes in drawn}
    assert len(choices) == {1: 4, 3: 4, 4: 1}[num_classes]
    assert all(len(classes) == num_classes for classes in choices)


def test_num_classes_above_the_number_of_classes_raises(source: TrainingSet) -> None:
    module = make_module(replace(source, num_classes=5))
    assert error_of(module.setup, "fit") == "data.num_classes=5: mine has 4 classes"


def test_packed_format_reads_the_packed_copy(source: TrainingSet) -> None:
    module = make_module(replace(source, format="packed"))
    assert "task=pack" in error_of(module.setup, "fit")
    for folder in (source.train, source.val):
        pack(folder or "", source.name, source.classes)
    module.setup("fit")
    files = make_module(source)
    files.setup("fit")
    for packed, read in zip(module.train_dataloader(), files.train_dataloader(), strict=True):
        assert packed["image"].equal(read["image"]) and packed["row"].equal(read["row"])


def test_missing_folders_are_named_with_what_to_do(source: TrainingSet, tmp_path: Path) -> None:
    here = TestSet("here", str(save_set(tmp_path / "test" / "here", 1, 1)), None)
    gone = [TestSet(name, str(tmp_path / "test" / name), None) for name in ("a", "b")]
    message = error_of(make_module(None, here, *gone).setup, "test")
    assert message.startswith(f"no data for a, b: no folder {tmp_path}/test/a. ")
    assert "generator=[here]" in message and "paths.test=PATH" in message
    custom = TestSet("mine", str(tmp_path / "gone"), "any", setting="folder", own=True)
    message = error_of(make_module(None, custom).setup, "test")
    assert "Give the folder that holds 0_real/ and 1_fake/, or another form" in message
    message = error_of(make_module(None, replace(custom, path=None)).setup, "test")
    assert message.startswith("generator=folder has no path")
    message = error_of(make_module(replace(source, train=str(tmp_path / "no"))).setup, "fit")
    assert f"no folder {tmp_path}/no" in message and "paths.train=PATH" in message
    message = error_of(make_module(replace(source, val=None)).setup, "fit")
    assert message == "data=mine needs data.train=PATH and data.val=PATH"
    (tmp_path / "val" / "1_fake" / "000.png").unlink()
    assert error_of(make_module(source).setup, "fit").endswith("lacks real or fake images")


def process(rank: int, world_size: int, gathered: int = 1) -> Any:
    """What the data module asks of Lightning's trainer."""
    return SimpleNamespace(
        global_rank=rank, world_size=world_size, accumulate_grad_batches=gathered
    )


@pytest.mark.parametrize(
    ("batch_size", "rank", "world_size", "warning"),
    [
        (20, 0, 1, None),
        (21, 0, 1, "batch_size=21 is more than the training set of 20 images"),
        (22, 0, 2, "batch_size=22 is more than the training set of 20 images"),
    ],
)
def test_batch_size_above_the_training_set_is_one_step_with_a_warning(
    source: TrainingSet,
    batch_size: int,
    rank: int,
    world_size: int,
    warning: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = make_module(source, loading=replace(LOADING, batch_size=batch_size))
    module.trainer = process(rank, world_size)
    module.setup("fit")
    (batch,) = module.train_dataloader()
    assert len(batch["label"]) == 20 // world_size
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (warning is not None)
    assert all(warning in message for message in messages if warning)


def test_ranks_need_a_divisible_batch_size_and_an_image_each(source: TrainingSet) -> None:
    module = make_module(source)
    module.setup("fit")
    module.trainer = process(0, 3)
    message = error_of(module.train_dataloader)
    assert message == "schedule.batch_size=4 does not divide by 3 processes"
    module.trainer = process(1, 4)
    module.tables["train"] = module.tables["train"].slice(0, 3)
    message = error_of(module.train_dataloader)
    assert message == "3 training images are too few for 4 processes"
    module.tables["val"] = module.tables["val"].slice(0, 1)
    (empty,) = module.val_dataloader()  # takes part in what all ranks do together
    assert empty["image"] is None and not len(empty["label"])


@pytest.mark.parametrize("world_size", [1, 2])
def test_gathered_batches_are_the_rows_of_one_large_batch(
    source: TrainingSet, world_size: int
) -> None:
    """Of 20 images: two steps of 3 × 2 would leave a part of a step, which is left out."""

    def steps(batch_size: int, gathered: int) -> list[set[int]]:
        batches: list[list[int]] = []
        for rank in range(world_size):
            module = make_module(source, loading=replace(LOADING, batch_size=batch_size))
            module.trainer = process(rank, world_size, gathered)
            module.setup("fit")
            rows = [batch["row"].tolist() for batch in module.train_dataloader()]
            assert len(rows) % gathered == 0
            for number, found in enumerate(rows):
                batches += [[]] * (number == len(batches))
                batches[number] = batches[number] + found
        return [
            set().union(*batches[first : first + gathered])
            for first in range(0, len(batches), gathered)
        ]

    assert steps(2, 4) == steps(8, 1)
    assert len(steps(2, 4)) == 2 and len(steps(2, 4)[0]) == 8


def test_gathered_batches_need_the_images_of_a_step(source: TrainingSet) -> None:
    module = make_module(source, loading=replace(LOADING, batch_size=4))
    module.trainer = process(0, 1, 6)
    module.setup("fit")
    message = error_of(module.train_dataloader)
    assert message.startswith("trainer.accumulate_grad_batches=6 × schedule.batch_size=4 are more")


@pytest.mark.parametrize("name", MIN_SIMULATION)
@pytest.mark.parametrize("value", ["lots", True])
def test_simulation_with_an_impossible_number_raises(name: str, value: Any) -> None:
    least = MIN_SIMULATION[name]
    for wrong in (value, least - 1):
        message = error_of(lambda wrong=wrong: replace(SIMULATION, **{name: wrong}))
        assert message == f"simulation.{name}={wrong}: give a whole number from {least} on"
    assert getattr(replace(SIMULATION, **{name: least}), name) == least


@pytest.mark.parametrize("train", ["train", None])
def test_prepare_data_builds_the_simulated_sets(
    train: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[Any, ...]] = []
    monkeypatch.setattr(simulated_build, "build", lambda *arguments: built.append(arguments))
    options = {"upsampling": "nearest", "stages": 2}
    source = TrainingSet("simulated", train, "val", "any", simulator={"name": "sim", **options})
    simulated = TestSet("sim_a", "test", None, simulator=options)
    make_module(source, simulated, TestSet("real", "else", None)).prepare_data()
    expected = [("val", "sim", options, "val", SIMULATION)]
    expected.append(("test", "sim_a", options, "test", SIMULATION))
    if train:
        expected.insert(0, ("train", "sim", options, "train", SIMULATION))
    assert built == expected


def test_skipped_tables_are_kept_by_split_and_warned_of(
    source: TrainingSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train" / "ant" / "1_fake" / "notes.txt").write_text("no image")
    (tmp_path / "val" / "0_real" / "loop").symlink_to("..")
    test = save_set(tmp_path / "test", 1, 1)
    sets = [TestSet(name, str(test), None) for name in ("one", "two")]
    (test / "0_real" / "page.pdf").write_text("no image")
    module = make_module(source, *sets)
    module.setup("fit")
    module.setup("test")
    names = {
        split: [Path(path).name for path in table["path"].to_pylist()]
        for split, table in module.skipped.items()
    }
    assert names == {"train": ["notes.txt"], "val": ["loop"], "test": ["page.pdf"] * 2}
    assert module.skipped["test"]["generator"].to_pylist() == ["one", "two"]
    assert len(caplog.messages) == 3
    for message, split, count in zip(
        caplog.messages, ("training", "validation", "test"), (1, 1, 2), strict=True
    ):
        assert message.startswith(f"{count} files and folders of the {split} images are left out")
        assert "unreadable.csv" in message


@pytest.mark.parametrize("format_", ["files", "packed"])
def test_notes_name_the_sets_that_share_folders(
    format_: str, source: TrainingSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_set(tmp_path / "other", 1, 1)
    apart = make_module(source, TestSet("gan", str(tmp_path / "other"), None))
    same = replace(source, val=source.train, format=format_)
    if format_ == "packed":
        pack(source.train or "", source.name, "any")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "cat").symlink_to(tmp_path / "train" / "cat")
    together = make_module(same, TestSet("gan", str(tmp_path / "linked"), "any"))
    for module in (apart, together):
        module.setup("fit")
        module.setup("test")
        module.warn_of_notes()
    assert apart.notes() == []
    (note,) = together.notes()
    assert note == (
        "The training, validation and test sets share images: 20 files, the first "
        f"{tmp_path}/linked/cat/0_real/000.png. The figures do not hold for other images."
    )
    assert caplog.messages == [note]


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("nested", [False, True])
def test_notes_name_linked_files(
    nested: bool, link: Callable[..., None], source: TrainingSet, tmp_path: Path
) -> None:
    test = save_set(tmp_path / "test", 2, 2)
    photo = tmp_path / "train" / "cat" / "0_real" / ("sub" if nested else "") / "000.png"
    if nested:
        save_image(photo, 77, fake=False)
    link(photo, test / "0_real" / "other.png")
    module = make_module(None, TestSet("gan", str(test), None))
    module.setup("test")
    module.name_training_folders({"train": source.train or "", "val": str(tmp_path / "gone")})
    (note,) = module.notes()
    assert note.startswith(
        f"The training and test sets share images: 1 files, the first {test}/0_real/other.png."
    )


def test_notes_name_test_sets_of_the_same_fakes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_set(tmp_path / name, 1, 1)
    os.link(tmp_path / "a/0_real/000.png", tmp_path / "b/0_real/shared.png")  # as some sets do
    (tmp_path / "c").symlink_to("b")
    for names, expected in (("ab", []), ("abc", ["The test sets b and c share fake images."])):
        module = make_module(None, *(TestSet(one, str(tmp_path / one), None) for one in names))
        module.setup("test")
        assert module.notes() == expected
