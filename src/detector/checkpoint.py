"""Checkpoints: genspot's own, the published ones, and bare state dicts."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write, sha256_of
from genspot.common.text import safe_repr
from genspot.detector.detector_file import DetectorFile, naming
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork
from genspot.detector.published_files import PUBLISHED_FILES
from genspot.detector.safe_load import save_safetensors
from genspot.detector.state_dicts import describe_content, digest_of, find_difference
from genspot.detector.weights_file import read_weights_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights and what the file says of itself.

    Attributes:
        path: the file.
        metadata: as it was trained.
        state: the state dict of a `DetectorNetwork`.
        setting: that named the file, for messages.
    """

    path: Path
    metadata: Metadata
    state: dict[str, torch.Tensor]
    setting: str = "checkpoint"

    def as_file(self) -> DetectorFile:
        """Return the same without the weights, which are large."""
        digest, weights = sha256_of(self.path), digest_of(self.state).hex()
        return DetectorFile(self.path, self.metadata, weights, digest, digest)

    def load_into(self, network: DetectorNetwork, name: str) -> None:
        """Load the weights into `network`, a model of that `name`.

        Raises:
            GenspotError: it has other parameters; the first difference in the order of its layers
                is named.
        """
        self.check_compatible(network, name)
        network.load_state_dict(network.state_dict() | self.state)

    def save(self, path: Path) -> None:
        """Write the weights, to the bit, and the metadata to `path`, a file of safetensors.

        `load_checkpoint` reads it.
        """
        state = {f"network.{key}": value for key, value in self.state.items()}
        with atomic_write(path) as partial:
            save_safetensors(self.metadata.as_dict(), state, partial)

    def named(self) -> AbstractContextManager[None]:
        """Name the file in each GenspotError of the block that does not name it."""
        return naming(self.path, self.setting)

    def check_compatible(self, network: DetectorNetwork, name: str) -> None:
        """Compare keys, shapes and types of the weights with those of `network`.

        Raises:
            GenspotError: there is a difference (`find_difference`); the first one is named.
        """
        if difference := find_difference(network.state_dict(), self.state):
            keys = describe_content({key.removeprefix("backbone."): 0 for key in self.state})
            raise GenspotError(
                f"{self.setting}={self.path} does not fit {safe_repr(name)}: {difference} (it "
                f"holds {keys}); name the model it was made with (model=… allow_mismatch=true) or "
                "another checkpoint"
            )


def load_checkpoint(
    path: str | Path | None, setting: str = "checkpoint", known: Metadata | None = None
) -> Checkpoint:
    """Return the checkpoint at `path`, whichever kind it is; nothing in it is executed.

    A published file is known by its entries (`detector.published_files`), unless it is `known`.

    Args:
        path: of a file that `read_weights_file` reads.
        setting: named in messages as the setting that gave the path.
        known: what a file is that says nothing of itself; None: its entries tell.

    Raises:
        GenspotError: there is none, it is no checkpoint of a detector, it is damaged, or one of
            its weights is not a finite number of float32.
    """
    if path is None:
        raise GenspotError(
            "this task needs checkpoint=PATH; training leaves one as best.ckpt, and "
            "checkpoint=embedded ships with genspot"
        )
    file = read_weights_file(path, setting)
    if file.about is not None:
        metadata = Metadata.from_dict(file.about, file.path, setting)
        return Checkpoint(file.path, metadata, file.state, setting)
    if known:
        return Checkpoint(file.path, known, file.state, setting)
    if file.published is None:
        forms = ", ".join(one.title for one in PUBLISHED_FILES)
        raise GenspotError(
            f"{setting}={file.path} holds no known detector, but {file.keys}; known are genspot's "
            f"own checkpoints, and the entries of {forms}; a training of any model can start from "
            "weights that fit it, model.weights=PATH"
        )
    metadata = file.published.metadata
    log.info("%s is read as %s, model=%s", file.path, file.published.title, metadata.model.name)
    return Checkpoint(file.path, metadata, file.state, setting)
