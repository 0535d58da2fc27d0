"""The Lightning data module: a training set, its validation set, and the generators to test on."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
import pyarrow as pa
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from genspot.data.simulated import build as simulated
from genspot.data import shortcut_baseline as trivial
from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.common.errors import GenspotError
from genspot.data.layout import find, halves, table
from genspot.data.index import scan
from genspot.data.samplers import PlainShare, ShuffledShare
from genspot.data.spectra import write_spectra
from genspot.data.packed.reader import Packed, open_store

log = logging.getLogger(__name__)

DOWNLOAD = (
    "Download {files} from the Hugging Face data set sywang/CNNDetection and unpack to {folder}, "
    "or set paths.{path}=PATH; data=simulated works without any download"
)
TRAIN_FILES = "progan_train.7z.001 to .007 (74.7 GB) and progan_val.zip (831 MB)"
TEST_FILES = "CNN_synth_testset.zip (20.1 GB)"
# Forked readers share the pages of the index and the compiled kernels; Python 3.14's default start
# would copy the one and load the other again in each.
START = "fork" if sys.platform == "linux" else None


class ImageDataModule(pl.LightningDataModule):
    """Batches of `uint8` crops.

    Args:
        source: what is trained on, a file of conf/data/ (name, train, val, classes, subset,
            simulator, store); None where nothing is trained.
        generators: what is tested on, files of conf/generator/ by their keys.
        augment: degradations of "train" and "val" images, and of "test" images where there are.
        simulation: size, seed and numbers of images of data sets that are built here.
        batch_size: images a step, over all ranks.
        eval_batch_size: images a step and rank in evaluation; 1 where `crop_test` is None.
        resize: pixels of the shorter side of training and validation images before all else.
        crop: side of training and validation crops in pixels.
        crop_test: side of test crops; None tests on whole images.
        workers: processes that read images, a rank; None chooses by the number of cores.
        seed: of every draw.
    """

    def __init__(
        self,
        source: dict[str, Any] | None,
        generators: dict[str, dict[str, Any]],
        augment: dict[str, albumentations.Compose | None],
        simulation: dict[str, int],
        batch_size: int,
        eval_batch_size: int,
        resize: int | None,
        crop: int,
        crop_test: int | None,
        workers: int | None,
        seed: int,
        inputs: str | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("schedule.batch_size", batch_size, 1),
            ("schedule.eval_batch_size", eval_batch_size, 1),
            ("preprocess.crop", crop, 1),
            ("preprocess.resize", 1 if resize is None else resize, 1),
            ("workers", 0 if workers is None else workers, 0),
        ):
            if type(value) is not int or value < least:
                raise GenspotError(f"{name}={value}: give a whole number from {least} on")
        if source and source["store"] not in ("files", "packed"):
            raise GenspotError(f"genspot.data.packed.reader={source['store']}: choose files or packed")
        self.source, self.generators, self.augment = source, generators, augment
        self.simulation, self.inputs = simulation, inputs
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.resize, self.crop, self.crop_test = resize, crop, crop_test
        self.workers, self.seed = workers, seed
        self.tables: dict[str, pa.Table] = {}
        self.readers: dict[str, Packed] = {}  # of the splits that are read from a packed store
        # Epoch that training begins with, and rows of it that were read before it was interrupted.
        # Set from outside: Lightning asks for the loader, which reads ahead, before it restores
        # its own count.
        self.begun = (0, 0)

    def prepare_data(self) -> None:
        """Build what is simulated and missing.

        Raises:
            GenspotError: see `simulated.check` and `simulated.build`.
        """
        sets = list(self._simulated())
        if not sets:
            return
        sizes = self.simulation
        simulated.check(sizes, *dict.fromkeys(split for _, split, _, _ in sets))
        for folder, split, name, simulator in sets:
            simulated.build(
                folder, name, simulator, split, sizes[split], sizes["size"], sizes["seed"]
            )

    def _simulated(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Folder, split, name and simulator of each simulated set."""
        if self.source and self.source["simulator"]:
            simulator = dict(self.source["simulator"])
            name = simulator.pop("name")
            for split in ("train", "val"):
                if self.source[split]:
                    yield self.source[split], split, name, simulator
        for key, spec in self.generators.items():
            if spec.get("simulator"):
                yield spec["folder"], "test", key, spec["simulator"]

    def setup(self, stage: str) -> None:
        """Read the tables that `stage` needs, once.

        Raises:
            GenspotError: a folder is missing, with what to download, or holds no images.
        """
        for split in {"fit": ("train", "val"), "validate": ("val",)}.get(stage, (stage,)):
            if split not in self.tables:
                self.tables[split] = self._table(split)

    def _table(self, split: str) -> pa.Table:
        if split == "predict":
            return find(self.inputs or "")
        if split == "test":
            return self._test_table()
        source = self.source
        assert source is not None, "fit without a training set"
        if not source[split]:
            raise GenspotError(f"data={source['name']} needs data.train=PATH and data.val=PATH")
        wanted = source[split], source["name"], self._classes(split)
        if source["store"] == "packed":
            rows, self.readers[split] = open_store(*wanted)
        else:
            self._demand({source["name"]: source[split]}, TRAIN_FILES, split)
            rows = scan(*wanted)
        if len(rows["label"].unique()) < 2:
            raise GenspotError(f"{source['name']}: {source[split]} lacks real or fake images")
        return rows

    def _classes(self, split: str) -> list[str] | str | None:
        """The classes to take: those declared, or as many of them as `subset` asks for.

        Which ones, is drawn from the seed; which Wang et al. took is not published.
        """
        assert self.source is not None
        classes, subset = self.source["classes"], self.source["subset"]
        if subset is None or (split == "val" and classes == "any"):
            return classes
        if classes == "any":
            found = halves(self.source["train"], self.source["name"], classes)
            classes = sorted({half.name for half in found})
        if type(subset) is not int or not 0 < subset <= len(classes or []):
            raise GenspotError(
                f"data.subset={subset}: {self.source['name']} has {len(classes or [])} classes"
            )
        drawn = np.random.default_rng(self.seed).permutation(len(classes))[:subset]
        return sorted(classes[number] for number in drawn)

    def _test_table(self) -> pa.Table:
        """The images of all generators, one below the other."""
        for key, spec in self.generators.items():
            if not spec["folder"]:
                raise GenspotError(f"generator={key} needs folder=PATH (and name=NAME for the table)")
        folders = {key: str(spec["folder"]) for key, spec in self.generators.items()}
        self._demand(folders, TEST_FILES, "test")
        tables = [
            scan(spec["folder"], spec.get("name", key), spec["classes"])
            for key, spec in self.generators.items()
        ]
        return pa.concat_tables([table([]), *tables]).unify_dictionaries()

    def _demand(self, folders: dict[str, str], files: str, path: str) -> None:
        """Refuse missing folders, all at once and before any training."""
        missing = {name: folder for name, folder in folders.items() if not Path(folder).is_dir()}
        if not missing:
            return
        first = next(iter(missing.values()))
        mend = DOWNLOAD.format(files=files, folder=Path(first).parent, path=path)
        if set(missing) & {"folder"}:
            mend = "give the folder that holds 0_real/ and 1_fake/"
        elif 0 < len(missing) < len(folders):
            present = ",".join(name for name in folders if name not in missing)
            mend = f"To test on what is here: generator=[{present}]. {mend}"
        raise GenspotError(f"no data for {', '.join(missing)}: no folder {first}. {mend}")

    def train_dataloader(self) -> DataLoader[Sample]:
        rank, world = self._rank()
        if self.batch_size % world:
            raise GenspotError(
                f"schedule.batch_size={self.batch_size} does not divide by {world} processes"
            )
        rows = self.tables["train"]
        if rows.num_rows < world:
            raise GenspotError(f"{rows.num_rows} training images are too few for {world} processes")
        dataset = ImageDataset(
            rows,
            self.augment["train"],
            self.resize,
            self.crop,
            train=True,
            seed=self.seed,
            read=self.readers.get("train"),
        )
        sampler = ShuffledShare(rows.num_rows, self.seed, rank, world, *self.begun)
        share = self.batch_size // world
        # A last batch of a single image is no batch to normalise over.
        drop = len(sampler) >= share
        if not drop and rank == 0:
            log.warning(
                "schedule.batch_size=%d is more than the training set of %d images: each epoch is "
                "one step of all of them",
                self.batch_size,
                len(sampler) * world,
            )
        return self._loader(dataset, sampler=sampler, batch_size=share, drop_last=drop)

    def val_dataloader(self) -> DataLoader[Sample]:
        dataset = ImageDataset(
            self.tables["val"],
            self.augment["val"],
            self.resize,
            self.crop,
            seed=self.seed,
            read=self.readers.get("val"),
        )
        share = PlainShare(len(dataset), *self._rank())
        if not len(share):
            # DDP hands its buffers to all processes in the first step of a validation, and they
            # join their metrics at its end: without images, take part with a batch of none.
            return self._loader(dataset, batch_sampler=[[]])
        return self._loader(dataset, sampler=share, batch_size=self.eval_batch_size)

    def calibration_dataloader(self) -> DataLoader[Sample]:
        """Validation images as test images are seen: what thresholds are fitted on."""
        return self._whole(self.tables["val"], read=self.readers.get("val"))

    def test_dataloader(self) -> DataLoader[Sample]:
        return self._whole(self.tables["test"], self.augment.get("test"))

    def write_spectra(self, folder: Path, limit: int) -> None:
        """Draw the mean spectra of the test images; see `genspot.data.spectra.write_spectra`."""
        write_spectra(self.tables["test"], folder, self.crop_test or self.crop, limit, self.seed)

    def predict_dataloader(self) -> DataLoader[Sample]:
        return self._whole(self.tables["predict"])

    def _whole(
        self,
        rows: pa.Table,
        augment: albumentations.Compose | None = None,
        read: Packed | None = None,
    ) -> DataLoader[Sample]:
        """Images as they are, or degraded; not resized, the middle cut out or nothing."""
        dataset = ImageDataset(rows, augment, crop=self.crop_test, seed=self.seed, read=read)
        batch = self.eval_batch_size if self.crop_test else 1
        share = PlainShare(len(dataset), *self._rank())
        return self._loader(dataset, sampler=share, batch_size=batch)

    def trivial_scores(self) -> np.ndarray:
        """Scores of the test images by a classifier that knows nothing of generators."""
        return trivial.scores(self.tables["train"], self.tables["test"], self.seed)

    def _rank(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _loader(self, dataset: ImageDataset, **batches: Any) -> DataLoader[Sample]:
        """A loader of `dataset`; `batches` are DataLoader's arguments that say which rows."""
        workers = default_workers() if self.workers is None else self.workers
        return DataLoader(
            dataset,
            **batches,
            num_workers=workers,
            multiprocessing_context=START if workers else None,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            worker_init_fn=one_thread,
        )


def default_workers() -> int:
    """Reading processes for the cores this process may use: all of them, 16 at most."""
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)


def one_thread(_: int) -> None:
    """A reading process works on one core; the others belong to its siblings.

    It ends when its parent does, and leaves to it what a scheduler sends to a whole group.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):  # Windows has two of them
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
