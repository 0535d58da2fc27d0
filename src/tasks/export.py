"""Write a detector as a file of ONNX, OpenVINO or safetensors, and check that it is the same."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.data.datamodule import ImageDataModule
from genspot.data.image_io import centre_crop
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.export import (
    check_packages,
    write_int8,
    write_metadata,
    write_onnx,
    write_openvino,
)
from genspot.detector.exported import WEIGHTS_SUFFIX, is_exported, load_exported
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.precision import exact_float32
from genspot.evaluation.references import beside
from genspot.report.console import print_line, print_path
from genspot.runtime.content import describe_file
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.export_images import labelled_batches, labelled_data, parity_images
from genspot.tasks.exported import describe_int8
from genspot.tasks.networks import make_scoring_network
from genspot.tasks.overrides import (
    OF_PHOTOS,
    command_line_overrides,
    overridden_keys,
    refuse_unread,
)
from genspot.tasks.schema import plain
from genspot.tasks.training_config import record, resolve_metadata, with_training_config
from genspot.tasks.warnings_filter import silence_warnings
from genspot.tasks.weights_by_name import load_named_checkpoint

FILES = {
    "onnx": "detector.onnx",
    "onnx_int8": "detector_int8.onnx",
    "openvino": "detector.xml",  # and its weights beside it, detector.bin
    "safetensors": "detector.safetensors",
}
TOLERANCE = 1e-4  # of a logit, or of its size where that is above 1
# Settings, or sections of them, that this task reads; the last for the test sets of onnx_int8.
READ = (*OF_PHOTOS, "format", "inputs", "data", "aug", "resume")
OF_TEST_SETS = (
    *("generator", "test_sets", "test_set", "hub", "labels", "simulation", "seed", "workers"),
    "schedule.eval_batch_size",
)
CALIBRATION = 64  # images on which the ranges of the activations of int8 are measured

Score = Callable[[np.ndarray], np.ndarray]  # uint8 N×3×H×W to logits


def export(cfg: DictConfig) -> None:
    """Write the files of `format` into the run's folder.

    Raises:
        GenspotError: no usable checkpoint, a package is missing, the network cannot be exported,
            or a file gives other logits than PyTorch; in one line.
    """
    silence_warnings()
    formats = list(dict.fromkeys(plain(cfg, "format") or ["onnx"]))
    _refuse_without_effect(formats)
    check_packages(formats)
    if is_exported(cfg.checkpoint):
        raise GenspotError(
            f"checkpoint={cfg.checkpoint} is exported already; give the checkpoint that it was "
            "made from"
        )
    checkpoint = load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    exact_float32()
    network = fuse_batchnorm(make_scoring_network(cfg, checkpoint, metadata.model))
    geometry = metadata.model.test.with_crop(cfg.crop)
    record(cfg, metadata, geometry.crop)
    run = config.run_settings(cfg)
    content = {"checkpoint": describe_file(checkpoint.path)}
    save_config(run.folder, run.config_text, run.resume, content=content)
    metadata = replace(metadata, model=replace(metadata.model, test=geometry))
    labelled = labelled_data(cfg, metadata) if "onnx_int8" in formats else None
    exporter = _Exporter(cfg, checkpoint, metadata, network, labelled)
    for name in formats:
        exporter.write(name)
        print_path(name, run.folder / FILES[name])
    if (reference := beside(checkpoint.path)).is_file() and set(formats) - {"onnx_int8"}:
        print_path("reference", reference)  # of its grades, which the copies take too


def _refuse_without_effect(formats: list[str]) -> None:
    """Raise GenspotError if the command line has a setting that the export does not use."""
    unused = dict.fromkeys(("degradations", "protocol"), "task=export")
    if "onnx_int8" not in formats:
        others = f"format=[{','.join(formats)}], but on onnx_int8"
        unused |= dict.fromkeys(("generator", "test_sets", "test_set"), others)
    if formats == ["safetensors"]:
        unused["inputs"] = "format=[safetensors], where nothing is compared"
    for key in (key.split(".")[0] for key in overridden_keys(command_line_overrides())):
        if key in unused:
            raise GenspotError(f"{key} has no effect on {unused[key]}: leave it out")
    refuse_unread("export", (*READ, *OF_TEST_SETS) if "onnx_int8" in formats else READ)


class _Exporter:
    """The files of one detector, and the images that they are compared on."""

    def __init__(
        self,
        cfg: DictConfig,
        checkpoint: Checkpoint,
        metadata: Metadata,
        network: DetectorNetwork,
        labelled: ImageDataModule | None,
    ) -> None:
        self.labelled = labelled  # what 8 bits are measured on
        self.cfg, self.checkpoint, self.metadata = cfg, checkpoint, metadata
        self.network, self.folder = network, Path(cfg.paths.output)
        self.crop = metadata.model.test.crop
        self.about: dict[str, Any] = {
            "version": importlib.metadata.version("genspot"),
            "checkpoint": describe_file(checkpoint.path)["sha256"],
        }
        self.images: list[np.ndarray] = []
        self.expected: list[float] = []

    def write(self, name: str) -> None:
        """Write the file of one format."""
        path = self.folder / FILES[name]
        if name == "safetensors":
            replace(self.checkpoint, metadata=self.metadata).save(path)
            return
        if not self.images:
            self._score_images()
        source = path if name == "onnx" else self.folder / f".{path.stem}.float32.onnx"
        try:
            write_onnx(self.network, self.crop, self._example(), source)
            if name == "onnx_int8":
                self._int8(source, path)
            elif name == "openvino":
                self._openvino(source, path)
            else:
                self._onnx(path)
        except BaseException:  # no file stays that was not checked
            path.unlink(missing_ok=True)
            if name == "openvino":  # a file of ONNX has none, and the same name without suffix
                path.with_suffix(WEIGHTS_SUFFIX).unlink(missing_ok=True)
            raise
        finally:
            if source != path:
                source.unlink(missing_ok=True)

    def _onnx(self, path: Path) -> None:
        write_metadata(path, self.metadata, self.about)
        parity = self._check(load_exported(path).logits, path)
        write_metadata(path, self.metadata, self.about | {"parity": parity})

    def _openvino(self, source: Path, path: Path) -> None:
        write_openvino(source, path, self.metadata, self.about)
        parity = self._check(load_exported(path).logits, path)
        write_openvino(source, path, self.metadata, self.about | {"parity": parity})

    def _int8(self, source: Path, path: Path) -> None:
        step = max(1, len(self.images) // CALIBRATION)
        write_int8(source, (image[None] for image in self.images[::step]), path)
        for file in (source, path):
            write_metadata(file, self.metadata, self.about)
        plain_file, int8 = load_exported(source), load_exported(path)
        assert self.labelled is not None
        found = _average_precisions(self.labelled, plain_file.logits, int8.logits)
        write_metadata(path, self.metadata, self.about | {"int8": {"sets": found}})
        print_line(f"8 bits: {describe_int8({'sets': found})}")

    def _score_images(self) -> None:
        self.images = parity_images(self.cfg, self.metadata)
        with torch.inference_mode():
            for image in self.images:
                pixels = image.transpose(1, 2, 0)
                cropped = pixels if self.crop is None else centre_crop(pixels, self.crop)
                batch = torch.from_numpy(np.ascontiguousarray(cropped))[None]
                self.expected += self.network(batch).tolist()

    def _example(self) -> np.ndarray:
        """Return two images of a usual size, from which the exporter follows the network."""
        return np.ascontiguousarray(np.stack([max(self.images, key=np.size)] * 2))

    def _check(self, score: Score, path: Path) -> dict[str, Any]:
        """Return how near the logits of a file are to PyTorch's.

        Raises:
            GenspotError: one of them is not near enough.
        """
        found = np.array([float(score(image[None])[0]) for image in self.images])
        largest = max(self.images, key=np.size)
        together = score(np.ascontiguousarray(np.stack([largest] * 3)))  # a batch, not one image
        expected = np.array(self.expected)
        alone = expected[[image is largest for image in self.images]][0]
        differences = np.abs(np.append(found, together) - np.append(expected, [alone] * 3))
        sizes = np.maximum(1, np.abs(np.append(expected, [alone] * 3)))
        if not (differences <= TOLERANCE * sizes).all():
            worst = float(np.nanmax(differences, initial=0.0))
            raise GenspotError(
                f"{path.name} is refused: a logit differs by {worst:.2g} from PyTorch's on "
                f"{len(found)} images, accepted are {TOLERANCE:g} (of the logit's size above 1); "
                "format=[safetensors] keeps the network as it is"
            )
        largest_difference = float(differences.max())
        print_line(
            f"{path.name}: the logits of {len(found)} images are PyTorch's; the largest "
            f"difference is {largest_difference:.2g}"
        )
        return {
            "images": len(found),
            "largest_difference": largest_difference,
            "tolerance": TOLERANCE,
        }


def _average_precisions(
    labelled: ImageDataModule, plain_score: Score, int8_score: Score
) -> dict[str, dict[str, Any]]:
    """Return the AP of each test set in float32 and with 8 bits, and its number of images.

    Raises:
        GenspotError: a test set without images of both kinds.
    """
    from genspot.evaluation.metrics import average_precision

    rows: dict[str, list[tuple[int, float, float]]] = {}
    for names, labels, images in labelled_batches(labelled):
        logits = plain_score(images).tolist(), int8_score(images).tolist()
        for name, *row in zip(names, labels, *logits, strict=True):
            rows.setdefault(name, []).append(tuple(row))
    result = {}
    for name, found in rows.items():
        targets, plain_logits, int8_logits = map(np.array, zip(*found, strict=True))
        if len(set(targets.tolist())) < 2:
            raise GenspotError(
                f"format=onnx_int8: {name} has no images of both kinds, of which its AP is made; "
                "name another test set, generator=[…] or test_sets={NAME: PATH}"
            )
        ap, ap_int8 = (average_precision(targets, one) for one in (plain_logits, int8_logits))
        result[name] = {"ap": ap, "ap_int8": ap_int8, "images": len(found)}
    return result
