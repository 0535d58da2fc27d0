"""What is known of each published file: one entry of conf/download/ each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class FileEntry:
    """One file as a server has it.

    Attributes:
        name: of the file on the disk.
        url: where it is.
        size: in bytes.
        sha256: 64 hexadecimal digits; the first 8, where no more are known; or None: the answer
            of the server for a pinned revision says it.
    """

    name: str
    url: str
    size: int
    sha256: str | None

    def by_hand(self, folder: Path) -> str:
        """Return how a user places the file in `folder`, for the end of a message."""
        digest = f", SHA-256 {self.sha256}" if self.sha256 else ""
        return f"by hand: save {self.url} as {folder / self.name} ({self.size:,} bytes{digest})"


@dataclass(frozen=True)
class Download:
    """An entry of the table: files that belong together.

    Attributes:
        name: of the entry, that of its file in conf/download/.
        title: for messages.
        files: the volumes of an archive in their order; of weights the one file.
        licence: of the files.
        source: page of the release.
    """

    name: str
    title: str
    files: tuple[FileEntry, ...]
    licence: str
    source: str

    @property
    def size(self) -> int:
        """The number of bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class ReferenceLogit:
    """A published logit of one image.

    Attributes:
        image: path of its file below the folder of all.
        crop: side of the centre crop in pixels; None: the whole image.
        logit: on a CPU in float32.
    """

    image: str
    crop: int | None
    logit: float


@dataclass(frozen=True)
class Weights(Download):
    """A file of weights.

    Attributes:
        model: name of the model (conf/model/), or of torchvision's network.
        data: name of the training set (conf/data/); None of initial weights alone.
        aug: name of the augmentation (conf/aug/) of the training, or None likewise.
        logits: published for images of `logits_source`; () where there are no such figures.
        logits_source: where the images and their logits are from.
        tolerance: the largest difference from a published logit that is accepted.
    """

    model: str
    data: str | None = None
    aug: str | None = None
    logits: tuple[ReferenceLogit, ...] = ()
    logits_source: str | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Archive(Download):
    """A ZIP file, possibly cut into the volumes of an uncompressed 7z archive.

    Attributes:
        split: which of `paths` it is unpacked to.
        wrapper: "7z" if the ZIP file is stored in a 7z archive, else None.
        members: number of its files; None: not known.
        classes: folders at its top, of training sets; () of test sets.
        data: training sets of conf/data/ whose images it holds.
        generators: test sets of conf/generator/ whose images it holds.
    """

    split: Split
    wrapper: Literal["7z"] | None = None
    members: int | None = None
    classes: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
