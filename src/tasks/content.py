"""The content of what a run reads, by the names of the settings that say where it lies."""

from __future__ import annotations

import pyarrow.compute as pc

from genspot.data.datamodule import ImageDataModule
from genspot.runtime.content import Content, describe_images


def describe_sets(datamodule: ImageDataModule) -> dict[str, Content]:
    """Return the description of each set of images that `datamodule` has set up."""
    found, source = {}, datamodule.training_set
    for split, folder in (("train", source and source.train), ("val", source and source.val)):
        if folder and split in datamodule.tables:
            found[f"data.{split}"] = describe_images(datamodule.tables[split], folder)
    for test_set in datamodule.test_sets if "test" in datamodule.tables else ():
        part = datamodule.tables["test"].filter(pc.field("generator") == test_set.name)
        found[f"generator.{test_set.choice}.path"] = describe_images(part, test_set.path or "")
    return found
