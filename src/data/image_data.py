"""The images of a run. Without Lightning, albumentations and PyTorch, which are slow to import."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.common.ranks import is_rank_zero
from genspot.data.dataset import (
    DEGRADATIONS,
    FeatureFunction,
    ImageDataset,
    Protocols,
    Sample,
)
from genspot.data.inputs import list_inputs
from genspot.data.layout import Listing
from genspot.data.photo_reading import PixelFunction
from genspot.data.samplers import SequentialDistributedSampler
from genspot.data.settings import (
    TRAINING_SPLITS,
    Loading,
    Place,
    Simulation,
    Split,
    TestSet,
    TrainingSet,
    Use,
)
from genspot.data.sources import (
    describe_shared_images,
    list_if_there,
    load_test_sets,
    load_training_set,
    warn_of_skipped,
)
from genspot.data.splits import describe_divided

if TYPE_CHECKING:
    import albumentations
    from torch.utils.data import DataLoader

    from genspot.data.loaders import ResumableDataLoader

log = logging.getLogger(__name__)

FEW_IMAGES = 8  # that this process reads by itself sooner than it starts others
SAMPLED_IMAGES = 5  # on which an augmentation is tried before the training


class ImageData:
    """Batches of `uint8` images; see `genspot.data.dataset.collate`.

    Args:
        training_set: what is trained and validated on; None if nothing is.
        test_sets: what is tested on.
        augment: the augmentation of the "train", "val" and "test" images; None or missing: as
            they are.
        train_geometry: size of the training and validation images.
        test_geometry: size of the images in tests, predictions and calibration. Whole images
            (no crop, no exact size) come in batches of one.
        loading: batch sizes, workers and seed.
        simulation: sizes and seed of the data sets that are built here.
        inputs: the photos, folders and so on of a prediction; see `list_inputs`.
        protocol: what is done to every image after it is decoded; see
            `genspot.data.dataset.ImageDataset`.
        test_protocols: the same of the images of tests and predictions, where it is another.

    Attributes:
        tables: the table of samples of each split that was set up.
        skipped: what is left out of it, with the columns of unreadable.csv.
        listings: the same with the files, for `notes`.
        known: the rows of a split that were scored before, and those that could not be read or
            have changed since. A test, a prediction or a calibration leaves the first out and
            reads the others last.
        features: what the samples of a use hold in place of images, by row.
        trainer: Lightning's, which knows the rank; None: the only process.

    Raises:
        GenspotError: the training images have no common size.
    """

    trainer: Any = None

    def __init__(
        self,
        training_set: TrainingSet | None,
        test_sets: list[TestSet],
        augment: Mapping[str, albumentations.Compose | None],
        train_geometry: Geometry,
        test_geometry: Geometry,
        loading: Loading,
        simulation: Simulation,
        inputs: Sequence[str] = (),
        protocol: PixelFunction | None = None,
        test_protocols: Protocols | None = None,
    ) -> None:
        super().__init__()  # of Lightning's, in `ImageDataModule`
        if training_set and not train_geometry.fixed_size:
            raise GenspotError(
                f"{train_geometry.setting}.crop=null: images of different sizes fit into no "
                f"batch; give a crop, or {train_geometry.setting}.resize=[height,width]"
            )
        self.training_set, self.test_sets, self.inputs = training_set, test_sets, inputs
        self.augment, self.loading, self.simulation = augment, loading, simulation
        self.protocols: Protocols = (protocol, protocol)
        self.test_protocols = test_protocols or self.protocols
        self.train_geometry, self.test_geometry = train_geometry, test_geometry
        self.tables: dict[Split, pa.Table] = {}
        self.skipped: dict[Split, pa.Table] = {}
        self.listings: dict[Split, Listing] = {}
        self.known: dict[Split, tuple[Collection[int], Collection[int]]] = {}
        # Functions from a row to its image, of the splits that are not read from files.
        self.readers: dict[Split, Callable[[int], np.ndarray]] = {}
        self.features: dict[Use, FeatureFunction] = {}
        self.train_loader: ResumableDataLoader | None = None
        self.resume_state: dict[str, int] | None = None

    def prepare_data(self) -> None:
        """Build the simulated data sets that are missing.

        Raises:
            GenspotError: a folder holds something else; see `genspot.data.simulated.build.build`.
                Or a package is missing that a test set needs.
        """
        from genspot.data.simulated.build import build_missing  # slow: imports SciPy

        build_missing(self.training_set, self.test_sets, self.simulation)

    def setup(self, stage: str) -> None:
        """Read the tables of samples that `stage` needs, once.

        Args:
            stage: "fit", "validate", "test" or "predict".

        Raises:
            GenspotError: a folder is missing, with what to download, or contains no images.
        """
        if stage == "predict" and "predict" not in self.tables:
            self._add("predict", list_inputs(self.inputs))
        if stage == "test" and "test" not in self.tables:
            self._add("test", load_test_sets(self.test_sets))
        splits: dict[str, tuple[Split, ...]] = {"fit": ("train", "val"), "validate": ("val",)}
        for split in splits.get(stage, ()):
            if split in self.tables:
                continue
            assert self.training_set is not None, "fit without a training set"
            listing, reader = load_training_set(self.training_set, split, self.loading.seed)
            self._add(split, listing)
            if reader:
                self.readers[split] = reader

    def _add(self, split: Split, listing: Listing) -> None:
        self.tables[split], self.skipped[split] = listing.table, listing.skipped
        self.listings[split] = listing
        warn_of_skipped(listing, split)

    def name_training_folders(self, places: Mapping[Split, Place]) -> None:
        """Let `notes` know of the images at `places`, which are listed and not read here.

        Args:
            places: the images of each split; what is missing is passed over.
        """
        for split, place in places.items():
            if split not in self.listings and (found := list_if_there(place, self.test_sets)):
                self.listings[split] = found

    def notes(self) -> list[str]:
        """Return what a reader of the results must know of the data, one line each."""
        notes = describe_shared_images(self.listings)
        if "test" in self.tables:
            divided = [one.name for one in self.test_sets if one.divided]
            notes += describe_divided(self.tables["test"], divided)
        return notes

    def warn_of_notes(self) -> None:
        """Log each of `notes` as a warning, on the first process."""
        for note in self.notes() if is_rank_zero() else []:
            log.warning("%s", note)

    def train_dataloader(self) -> ResumableDataLoader:
        """Return shuffled batches of augmented crops, some of them flipped.

        Raises:
            GenspotError: see `training_loader`.
        """
        from genspot.data.training_loader import training_loader  # imports PyTorch

        gathered = self.trainer.accumulate_grad_batches if self.trainer else 1
        dataset, ranks = self.dataset("train"), self._rank()
        self.train_loader = training_loader(dataset, self.loading, *ranks, gathered)
        if self.resume_state:
            self.train_loader.load_state_dict(self.resume_state)
        return self.train_loader

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the validation images, augmented, each on one rank."""
        loader = self._eval_loader(self.dataset("val"))
        if len(loader):
            return loader
        from genspot.data.loaders import eval_loader  # imports PyTorch

        # DDP broadcasts buffers in the first step of a validation and reduces metrics at its
        # end. A rank without images takes part with one empty batch.
        return eval_loader(loader.dataset, self.loading.workers, batch_sampler=[[]])

    def calibration_dataloader(self) -> DataLoader[Sample]:
        """Return the validation images in the test geometry: thresholds are fitted on them."""
        return self._eval_loader(self.dataset("calibration"), self.known.get("val"))

    def statistics_dataloader(self) -> DataLoader[Sample]:
        """Return the training images once, in order, not augmented, cropped at the centre.

        The statistics of an input representation are fitted on them.
        """
        return self._eval_loader(self._dataset("train", self.train_geometry))

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the test images, degraded where `augment` says so, each on one rank."""
        return self._eval_loader(self.dataset("test"), self.known.get("test"))

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Return the images of the prediction, each on one rank."""
        return self._eval_loader(self.dataset("predict"), self.known.get("predict"))

    def dataset(self, use: Use) -> ImageDataset:
        """Return the images as `use` takes them, or their features where `features` has them."""
        split: Split = "val" if use == "calibration" else use
        geometry = self.train_geometry if use in TRAINING_SPLITS else self.test_geometry
        augment = None if use in ("calibration", "predict") else self.augment.get(use)
        dataset = self._dataset(split, geometry, augment, train=use == "train")
        dataset.features = self.features.get(use)
        return dataset

    def _eval_loader(
        self,
        dataset: ImageDataset,
        known: tuple[Collection[int], Collection[int]] | None = None,
    ) -> DataLoader[Sample]:
        from genspot.data.loaders import eval_loader

        # Whole images may be large: each worker reads one of them ahead.
        fixed_size = dataset.geometry.fixed_size
        batch_size, prefetch = (self.loading.eval_batch_size, 2) if fixed_size else (1, 1)
        sampler = SequentialDistributedSampler(len(dataset), *self._rank(), *(known or ()))
        few = self.loading.workers is None and len(sampler) <= FEW_IMAGES
        workers = 0 if few else self.loading.workers
        return eval_loader(dataset, workers, prefetch, sampler=sampler, batch_size=batch_size)

    def _dataset(
        self,
        split: Split,
        geometry: Geometry,
        augment: albumentations.Compose | None = None,
        train: bool = False,
    ) -> ImageDataset:
        table, read = self.tables[split], self.readers.get(split)
        return ImageDataset(
            table,
            augment,
            geometry,
            train,
            self.loading.seed,
            read,
            setting=DEGRADATIONS if split == "test" else f"aug.{split}",
            max_megapixels=self.loading.max_megapixels,
            max_whole_megapixels=self.loading.max_whole_megapixels,
            protocols=self.test_protocols if split in ("test", "predict") else self.protocols,
            flip=self.loading.flip,
        )

    def sample_images(self, split: Split) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (path, pixels) of a few readable images of the training geometry, resized."""
        dataset = self._dataset(split, self.train_geometry)
        for row in _sampled_rows(len(dataset)):
            with suppress(Exception):  # the training reports unreadable images
                yield dataset.paths[row].as_py(), dataset.load_resized(row)

    def protocol_fault(self, split: Split) -> str | None:
        """Return why the protocol fails on all of a few images; None if it takes one of them."""
        dataset = self._dataset(split, self.test_geometry)
        return dataset.protocol_fault(_sampled_rows(len(dataset)))

    def _rank(self) -> tuple[int, int]:
        """Return the rank of this process and the number of processes."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


def _sampled_rows(count: int) -> list[int]:
    """Return the first, the last and some rows between them, of `count`."""
    return np.linspace(0, count - 1, min(SAMPLED_IMAGES, count)).astype(int).tolist()
