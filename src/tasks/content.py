"""The content of what a run reads, by the names of the settings that say where it lies."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import Place
from genspot.runtime.content import Content, describe_images
from genspot.tasks.places import roots


def describe_sets(datamodule: ImageDataModule) -> dict[str, Content]:
    """Return the description of each set of images that `datamodule` has set up."""
    found, source = {}, datamodule.training_set
    for split, folder in (("train", source and source.train), ("val", source and source.val)):
        if folder and split in datamodule.tables:
            found[f"data.{split}"] = _describe(datamodule.tables[split], folder)
    for one in source.parts if source else ():
        for split, place in (("train", one.train), ("val", one.val or one.train)):
            if split in datamodule.tables:
                part = datamodule.tables[split].filter(pc.field("generator") == one.name)
                found[f"data.{split}.{one.name}"] = _describe(part, place or one.path or "")
    for test_set in datamodule.test_sets if "test" in datamodule.tables else ():
        part = datamodule.tables["test"].filter(pc.field("generator") == test_set.name)
        found[f"generator.{test_set.choice}.path"] = _describe(part, test_set.path or "")
    return found


def _describe(samples: pa.Table, place: Place) -> Content:
    return describe_images(samples, roots(place, samples["path"].to_pylist()))
