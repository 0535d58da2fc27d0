"""A network tried on black images, so that what it cannot do is known before data are read."""

from __future__ import annotations

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.common.text import safe_repr
from genspot.detector.inputs.fitted import FittedInput
from genspot.detector.memory import is_out_of_memory
from genspot.detector.network import DetectorNetwork
from genspot.detector.settings import ModelSettings


def check_training_network(network: DetectorNetwork, model: ModelSettings, test: Geometry) -> None:
    """Try a network that is about to be trained; its batch statistics change.

    Args:
        network: on the CPU, with any weights.
        model: its settings.
        test: geometry of the test images.

    Raises:
        GenspotError: it fails on images of the training's or of the test's size, or does not
            return one logit per image, or the logits depend on nothing that is trained.
    """
    hint = f"give model.train a size, and model.input channels, that {safe_repr(model.name)} takes"
    for training in (True, False):
        _try(network.train(training), model, model.train, hint, trained=training)
    network.train()
    check_network(network, model, test)


def check_network(network: DetectorNetwork, model: ModelSettings, test: Geometry) -> torch.Tensor:
    """Try a network in evaluation mode and return its logits of black images.

    Args:
        network: on the CPU, with any weights; its mode is kept.
        model: its settings.
        test: geometry of the test images.

    Raises:
        GenspotError: it fails on images of that size, or does not return one logit per image.
    """
    training = network.training
    try:
        return _try(network.eval(), model, test, _hint(model, test))
    finally:
        network.train(training)


def check_trained_network(network: DetectorNetwork, model: ModelSettings, test: Geometry) -> None:
    """Try a network that has its weights: `check_network`, and its logits must be finite.

    Raises:
        GenspotError: see above; or the statistics of its input representation were never fitted.
    """
    if isinstance(network.input, FittedInput) and not network.input.fitted:
        raise GenspotError(
            "the statistics of model.input were never fitted to a training set; take the "
            "best.ckpt that a training left"
        )
    logits = check_network(network, model, test)
    if not logits.isfinite().all():
        raise GenspotError(
            f"the logit of a black image is {logits[0]:g}: the weights, or model.input of "
            f"{safe_repr(model.name)}, lead beyond the range of float32; take another checkpoint"
        )


def find_wrong_bfloat16_gradient(network: DetectorNetwork, geometry: Geometry) -> str | None:
    """Return the name of a layer whose gradient a CPU computes wrongly in bfloat16, or None.

    oneDNN leaves parts of the weights' gradient of a padded convolution unwritten if its map is
    narrower than the stride or lower than the padding: there it is what the memory held before
    (docs/exactness.md).
    """
    found: list[str] = []

    def watch(name: str, layer: nn.Conv2d) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if isinstance(layer.padding, tuple) and any(layer.padding):
                height, width = inputs[0].shape[-2:]
                if width < layer.stride[1] or height < layer.padding[0]:
                    found.append(name)

        return layer.register_forward_pre_hook(note)

    handles = [
        watch(name, layer)
        for name, layer in network.backbone.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad
    ]
    training = network.training
    try:
        _forward(network.eval(), *_size(geometry))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def image_size(test: Geometry, training: Geometry) -> tuple[int, int]:
    """Return height and width in pixels of test images; of whole ones, those of the training."""
    return _size(test if test.fixed_size else training)


def _hint(model: ModelSettings, test: Geometry) -> str:
    """Return what to do if `model` fails on images of the test's geometry."""
    crop, resize = model.train.crop, model.train.resize
    if test.fixed_size:
        return "give crop= or model.test.resize= a size that it takes"
    size = f"crop={crop}" if crop else f"model.test.resize={list(_pair(resize))}"
    return (
        f"whole images (crop=none) have any size: give {size.replace(' ', '')}, as it was trained"
    )


def _try(
    network: DetectorNetwork,
    model: ModelSettings,
    geometry: Geometry,
    hint: str,
    trained: bool = False,
) -> torch.Tensor:
    height, width = _size(geometry) if geometry.fixed_size else _whole_size(geometry, model.train)
    try:
        return _forward(network, height, width, trained)
    except GenspotError:
        raise
    except Exception as error:  # the backbone's own code can raise anything
        if is_out_of_memory(error):  # a test leaves out only the images that need too much
            return torch.zeros(2)
        reason = " ".join(f"{error or type(error).__name__}".split())[:200]
        raise GenspotError(
            f"model {safe_repr(model.name)} fails on images of {height} × {width} pixels "
            f"({reason}); {hint}"
        ) from error


def _forward(
    network: DetectorNetwork, height: int, width: int, trained: bool = False
) -> torch.Tensor:
    # Two images: a network may return one logit for the whole batch.
    with torch.set_grad_enabled(trained):
        logits: torch.Tensor = network(torch.zeros(2, height, width, 3, dtype=torch.uint8))
    if trained and not logits.requires_grad:
        raise GenspotError(
            "model.backbone returns logits that depend on no trainable parameter (constant, "
            "detached, or computed without gradients): nothing can be trained"
        )
    return logits.detach()


def _size(geometry: Geometry) -> tuple[int, int]:
    """Return height and width in pixels of images of a fixed size."""
    return (geometry.crop, geometry.crop) if geometry.crop else _pair(geometry.resize)


def _pair(resize: int | tuple[int, int] | None) -> tuple[int, int]:
    assert isinstance(resize, tuple), "images without a crop have a fixed size by a pair alone"
    return resize


def _whole_size(geometry: Geometry, training: Geometry) -> tuple[int, int]:
    """Return a size of whole images that only a network for any size takes.

    It is larger than the training's images, odd, and not square.
    """
    side = max(_size(training))
    height, width = (side + 33) | 1, (side + 67) | 1
    if isinstance(geometry.resize, int):
        return geometry.resize, max(geometry.resize, geometry.resize * width // height)
    return height, width
