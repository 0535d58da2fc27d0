"""Published files of weights, known by the names and shapes of a few of their entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from genspot.common.geometry import Geometry
from genspot.detector.metadata import IMAGENET, PUBLISHED, Metadata
from genspot.detector.settings import ModelSettings

Shape = tuple[int, ...]


@dataclass(frozen=True)
class PublishedFile:
    """A form of files that a publication's authors gave out.

    Attributes:
        title: the publication, for messages.
        entries: names and shapes of entries that tell this form from all others; None stands for
            any shape.
        metadata: the model, as in conf/model/, and what the files were trained on.
        two_logits: the name of a last layer with one logit for real and one for fake, in this
            order; None: it has one logit.
    """

    title: str
    entries: Mapping[str, Shape | None]
    metadata: Metadata
    two_logits: str | None = None

    def fits(self, state: Mapping[Any, Any]) -> bool:
        """Return whether `state`, from anybody, has the entries of this form."""
        return all(
            key in state and (shape is None or getattr(state[key], "shape", None) == shape)
            for key, shape in self.entries.items()
        )

    def with_one_logit(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return `state` with one logit: that of fake minus that of real.

        Softmax over two logits is the sigmoid of their difference. A layer that has not two of
        them throughout is left as it is: it fits no model.
        """
        last = {key: state[key] for key in state if key.rpartition(".")[0] == self.two_logits}
        if not all(one.is_floating_point() and one.shape[:1] == (2,) for one in last.values()):
            return dict(state)
        logits = {key: value.double() for key, value in last.items()}
        return {**state, **{key: value[1:] - value[:1] for key, value in logits.items()}}


CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
CROP_224, CROP_256, SQUARE_256 = Geometry(None, 224), Geometry(None, 256), Geometry((256, 256))


def _metadata(
    name: str, input: dict[str, Any], backbone: dict[str, Any], train: Geometry, test: Geometry
) -> Metadata:
    """Return that of conf/model/NAME.yaml, trained on four classes of ProGAN's images.

    Other trainings leave files of the same form: how this one was augmented, the user has to say.
    """
    model = ModelSettings(name, input, backbone, train, test)
    return Metadata("progan_4cls", None, aug=None, study=None, seed=None, model=model)


def _ferretnet(variant: str, width: int) -> PublishedFile:
    return PublishedFile(
        f"FerretNet-{variant} (NeurIPS 2025)",
        {"cbr2.0.weight": (width, width // 2, 3, 3), "logit.1.weight": (1, 4 * width)},
        _metadata(
            f"ferretnet_{variant.lower()}",
            {"name": "median3", **CLIP},
            {"name": "ferretnet", "width": width, "depth": 2},
            CROP_224,
            CROP_256,
        ),
    )


NPR_INPUT = {"name": "npr", **IMAGENET}
TWO_STAGES: dict[str, Shape | None] = {"conv1.weight": (64, 3, 3, 3), "layer2.3.bn3.bias": (512,)}

# The names and shapes are facts of the authors' files, or of the papers' networks.
PUBLISHED_FILES = (
    _ferretnet("B", 96),
    _ferretnet("S", 32),
    PublishedFile(
        "NPR (Tan et al., CVPR 2024)",
        {**TWO_STAGES, "fc1.weight": (1, 512)},
        _metadata(
            "npr",
            NPR_INPUT,
            {"name": "two_stage_resnet50"},
            Geometry((256, 256), 224),
            SQUARE_256,
        ),
    ),
    PublishedFile(
        "SAFE (Li et al., KDD 2025)",
        {**TWO_STAGES, "fc1.weight": (2, 512)},
        _metadata("safe", {"name": "dwt_hh"}, {"name": "two_stage_resnet50"}, CROP_256, CROP_256),
        two_logits="fc1",
    ),
    # Its form does not tell what it was trained on: its training set is unconfirmed.
    PublishedFile(
        "LaDeDa (Cavia et al., 2024)",
        {"conv1.weight": (64, 3, 1, 1), "conv2.weight": (64, 64, 3, 3), "fc.weight": (1, 2048)},
        _metadata("ladeda", NPR_INPUT, {"name": "ladeda"}, Geometry((256, 256), 224), SQUARE_256),
    ),
    # Any ResNet of torchvision, for model=NAME with allow_mismatch=true; last, because LaDeDa has
    # these entries too.
    PublishedFile(
        "a ResNet-50 (Wang et al., CVPR 2020)",
        {"conv1.weight": None, "fc.weight": None},
        PUBLISHED,
    ),
)


def find_published_file(state: Mapping[Any, Any]) -> PublishedFile | None:
    """Return which published form `state`, without wrappers and prefixes, has; or None."""
    return next((one for one in PUBLISHED_FILES if one.fits(state)), None)
