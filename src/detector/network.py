"""A detector's network: `uint8` images → input representation → backbone → one logit."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.frozen import FrozenBackbone
from genspot.detector.inputs import INPUTS
from genspot.detector.patches import PatchBackbone, TransformedPatches
from genspot.detector.settings import ModelSettings

log = logging.getLogger(__name__)

# Images that a CPU evaluates at once: the features of more than these leave its caches, which
# cost a third of the speed (benchmarks/step.py).
CPU_EVAL_CHUNK = 8
LAZY = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)


class DetectorNetwork(nn.Module):
    """Input representation and backbone, from `uint8` images to logits.

    Args:
        input: `uint8` N×3×H×W to floats N×C×H'×W'; see `genspot.detector.inputs`.
        backbone: floats N×C×H'×W' to logits N×1; above 0 means fake.
        trainable: "all" parameters, or the "head" alone; then the rest stays in evaluation mode.
        channels_last: lay images and weights out as N×H×W×C in memory.

    Raises:
        GenspotError: a part has lazy layers.
    """

    def __init__(
        self,
        input: nn.Module,
        backbone: nn.Module,
        trainable: str = "all",
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        for name, part in (("input", input), ("backbone", backbone)):
            if any(isinstance(value, LAZY) for value in (*part.parameters(), *part.buffers())):
                raise GenspotError(
                    f"model.{name} has lazy layers, whose sizes are not known: give their sizes"
                )
        self.input = input
        self.backbone = backbone.to(memory_format=self.memory_format)
        self.trainable = trainable
        # Names of parts that stay in evaluation mode. Not the parts themselves, which Lightning
        # replaces where batch norms are synchronised.
        self.fixed: tuple[str, ...] = ()
        if trainable == "head":
            self.requires_grad_(False)
            head(self.backbone).requires_grad_(True)
            self.fixed = ("input", "backbone")
        self.train()  # Lightning does not call it before the first epoch

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 of shape N, of `uint8` images N×H×W×3 or of their `features`."""
        return self._in_chunks(self._logits, images)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the head of a frozen encoder sees of images, float32 with N before the rest.

        Args:
            images: `uint8`, N×H×W×3; or features already, which are returned.

        Raises:
            GenspotError: the backbone has no frozen encoder.
        """
        if images.is_floating_point():
            return images
        if not isinstance(self.backbone, FrozenBackbone):
            raise GenspotError(
                "this model's backbone has no frozen encoder: take one that has, such as "
                "model=univfd or model=rine"
            )
        backbone = self.backbone
        return self._in_chunks(
            lambda chunk: backbone.features(self.input(self.as_pixels(chunk))), images
        )

    def patch_logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of the patches, float32 N×h×w, of `uint8` images N×H×W×3.

        Their mean is the logit of an image; `PatchBackbone` says where each patch lies.

        Raises:
            GenspotError: the backbone does not score patches.
        """
        return self._in_chunks(self._patch_logits, images)

    def train(self, mode: bool = True) -> DetectorNetwork:
        """Set the mode; frozen layers stay in evaluation mode, with their batch statistics."""
        super().train(mode)
        for name in self.fixed:
            self.get_submodule(name).eval()
        return self

    def as_pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Return `uint8` images N×H×W×3 as the input representation takes them, N×3×H×W."""
        return images.permute(0, 3, 1, 2).to(memory_format=self.memory_format)

    def _in_chunks(
        self, function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor
    ) -> torch.Tensor:
        if self.training or images.device.type != "cpu":
            return function(images)
        return torch.cat([function(chunk) for chunk in torch.split(images, CPU_EVAL_CHUNK)])

    def _patch_logits(self, images: torch.Tensor) -> torch.Tensor:
        if not isinstance(self.backbone, PatchBackbone):
            raise GenspotError(
                "this model's backbone does not score patches: take one that does, such as "
                "model=ladeda or model=tiny_ladeda"
            )
        return self.backbone.patch_logits(self.input(self.as_pixels(images))).float()

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        if isinstance(self.backbone, FrozenBackbone) and images.is_floating_point():
            logits = self.backbone.head(images)
        else:
            logits = self.backbone(self.input(self.as_pixels(images)))
        is_tensor = isinstance(logits, torch.Tensor)
        if not is_tensor or logits.shape != (len(images), 1):
            found = f"shape {tuple(logits.shape)}" if is_tensor else type(logits).__name__
            raise GenspotError(
                f"model.backbone returns {found} for {len(images)} images: it must return one "
                "logit per image, N×1"
            )
        if not logits.is_floating_point():
            raise GenspotError(
                f"model.backbone returns logits of {logits.dtype}: they must be real floats"
            )
        result: torch.Tensor = logits.squeeze(1).float()
        return result


def build_network(model: ModelSettings) -> DetectorNetwork:
    """Return the network of registered components that `model` describes.

    Raises:
        GenspotError: see `Registry.build`; or a part that only the config of
            the model's author can build.
    """
    if model.input is None or model.backbone is None:
        raise custom_model_error(model)
    return DetectorNetwork(
        INPUTS.build(model.input),
        BACKBONES.build(model.backbone),
        model.trainable,
        channels_last=True,  # the default of conf/trainer/
    )


def custom_model_error(model: ModelSettings) -> GenspotError:
    """Return the error for a model that only a config of its author's own can build."""
    return GenspotError(
        f"model {model.name!r} is a config of its author's own: name the folder that holds "
        f"model/{model.name}.yaml with --config-dir FOLDER"
    )


def find_head(backbone: nn.Module) -> nn.Linear | None:
    """Return the last linear layer with one output of `backbone`, or None."""
    linear = [module for module in backbone.modules() if isinstance(module, nn.Linear)]
    heads = [layer for layer in linear if layer.out_features == 1]
    return heads[-1] if heads else None


def head(backbone: nn.Module) -> nn.Linear:
    """Return the last linear layer with one output of `backbone`.

    Raises:
        GenspotError: there is none.
    """
    if (found := find_head(backbone)) is None:
        raise GenspotError(
            "model.trainable=head: the backbone has no linear layer with one output; choose all"
        )
    return found


def fuse_batchnorm(network: DetectorNetwork, in_place: bool = False) -> DetectorNetwork:
    """Return a copy for evaluation with each batch norm fused into the convolution before it.

    In exact arithmetic the same function; in float32, logits move by about 1e-6 of their size.
    A backbone that torch.fx cannot trace is used as it is.

    Args:
        network: with its weights.
        in_place: whether `network` may be changed: it is of no use afterwards, and the memory
            holds its weights once.
    """
    network.eval()
    backbone = network.backbone
    if isinstance(backbone, FrozenBackbone):  # vision transformers have no batch norms
        return network
    try:
        if isinstance(backbone, PatchBackbone):
            backbone = TransformedPatches(backbone, fuse)
        else:
            backbone = fuse(backbone, inplace=in_place)
    except Exception as error:  # tracing runs the backbone's own code, which can raise anything
        log.info("batch norms are not fused (%s): evaluation is slower", error)
        return network
    channels_last = network.memory_format is torch.channels_last
    return DetectorNetwork(network.input, backbone, channels_last=channels_last).eval()
