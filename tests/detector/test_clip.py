"""CLIP's encoder from files of four forms, and the heads of UnivFD and RINE, on a tiny CLIP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from genspot.detector.backbones import BACKBONES
from genspot.detector.backbones.rine import RineHead
from genspot.detector.settings import ModelSettings
from helpers.clip import ARCH, BLOCKS, EMBEDDING, SIDE, WIDTH, make_encoder, save_encoder
from helpers.errors import error_of

State = dict[str, torch.Tensor]


def build(name: str, encoder: Path | str, **changes: Any) -> Any:
    sizes = {"projection": 8, "layers": 2} if name == "rine" else {}
    settings = {"name": name, "arch": ARCH, "encoder_weights": str(encoder), **sizes}
    return BACKBONES.build(settings | changes).eval()


def pixels(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def as_openai(state: State) -> State:
    """The names of OpenAI's and open_clip's files, whose text encoder is left out in part."""
    found = {
        "visual.class_embedding": state["cls_token"].flatten(),
        "visual.positional_embedding": state["pos_embed"].squeeze(0),
        "visual.conv1.weight": state["patch_embed.proj.weight"],
        "visual.proj": state["head.weight"].T,
        "token_embedding.weight": torch.zeros(7, 5),
        "transformer.resblocks.0.ln_1.weight": torch.zeros(5),
        "logit_scale": torch.tensor(4.6),
    }
    for kind in ("weight", "bias"):
        found[f"visual.ln_pre.{kind}"] = state[f"norm_pre.{kind}"]
        found[f"visual.ln_post.{kind}"] = state[f"norm.{kind}"]
        for block in range(BLOCKS):
            own, other = f"blocks.{block}", f"visual.transformer.resblocks.{block}"
            found[f"{other}.ln_1.{kind}"] = state[f"{own}.norm1.{kind}"]
            found[f"{other}.ln_2.{kind}"] = state[f"{own}.norm2.{kind}"]
            found[f"{other}.attn.in_proj_{kind}"] = state[f"{own}.attn.qkv.{kind}"]
            found[f"{other}.attn.out_proj.{kind}"] = state[f"{own}.attn.proj.{kind}"]
            found[f"{other}.mlp.c_fc.{kind}"] = state[f"{own}.mlp.fc1.{kind}"]
            found[f"{other}.mlp.c_proj.{kind}"] = state[f"{own}.mlp.fc2.{kind}"]
    return found


def as_transformers(state: State) -> State:
    """The names of Hugging Face's transformers."""
    embeddings = "vision_model.embeddings"
    found = {
        f"{embeddings}.class_embedding": state["cls_token"].flatten(),
        f"{embeddings}.position_embedding.weight": state["pos_embed"].squeeze(0),
        f"{embeddings}.position_ids": torch.arange(5)[None],
        f"{embeddings}.patch_embedding.weight": state["patch_embed.proj.weight"],
        "visual_projection.weight": state["head.weight"],
        "text_model.final_layer_norm.weight": torch.zeros(5),
    }
    for kind in ("weight", "bias"):
        found[f"vision_model.pre_layrnorm.{kind}"] = state[f"norm_pre.{kind}"]
        found[f"vision_model.post_layernorm.{kind}"] = state[f"norm.{kind}"]
        for block in range(BLOCKS):
            own, other = f"blocks.{block}", f"vision_model.encoder.layers.{block}"
            found[f"{other}.layer_norm1.{kind}"] = state[f"{own}.norm1.{kind}"]
            found[f"{other}.layer_norm2.{kind}"] = state[f"{own}.norm2.{kind}"]
            parts = state[f"{own}.attn.qkv.{kind}"].chunk(3)
            for name, part in zip("qkv", parts, strict=True):
                found[f"{other}.self_attn.{name}_proj.{kind}"] = part
            found[f"{other}.self_attn.out_proj.{kind}"] = state[f"{own}.attn.proj.{kind}"]
            found[f"{other}.mlp.fc1.{kind}"] = state[f"{own}.mlp.fc1.{kind}"]
            found[f"{other}.mlp.fc2.{kind}"] = state[f"{own}.mlp.fc2.{kind}"]
    return found


@pytest.mark.parametrize("form", [dict, as_openai, as_transformers])
def test_encoder_of_each_form_gives_the_same_embedding_and_digest(
    form: Callable[[State], State], tmp_path: Path
) -> None:
    encoder = make_encoder()
    torch.save(form(dict(encoder.state_dict())), tmp_path / "clip.pth")
    loaded = build("univfd", tmp_path / "clip.pth")
    assert torch.equal(loaded.features(pixels()), encoder(pixels()).detach())
    own = build("univfd", save_encoder(tmp_path / "timm.pth"))
    assert torch.equal(loaded.encoder.digest, own.encoder.digest)


def test_encoder_is_read_from_safetensors_and_from_wrapped_files(tmp_path: Path) -> None:
    state = as_openai(dict(make_encoder().state_dict()))
    save_file(
        {key: value.contiguous() for key, value in state.items()}, tmp_path / "a.safetensors"
    )
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "b.pt")
    digests = [
        build("univfd", tmp_path / name).encoder.digest for name in ("a.safetensors", "b.pt")
    ]
    assert torch.equal(*digests)


def test_encoder_in_half_precision_is_computed_in_float32(tmp_path: Path) -> None:
    """OpenAI's file is in half precision."""
    state = {key: value.half() for key, value in as_openai(make_encoder().state_dict()).items()}
    torch.save(state, tmp_path / "clip.pth")
    features = build("univfd", tmp_path / "clip.pth").features(pixels())
    assert features.dtype == torch.float32
    assert torch.allclose(features, make_encoder()(pixels()), atol=2e-2)


def resized(state: State) -> State:
    return state | {"pos_embed": torch.zeros(1, 10, WIDTH)}


def without_a_block(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("blocks.1.")}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (resized, r"the last sides of pos_embed are \(10, 16\) instead of \(5, 16\)"),
        (lambda state: as_openai(resized(state)), "the last sides of visual.positional_embedding"),
        (lambda state: as_transformers(resized(state)), "the last sides of vision_model"),
        (without_a_block, "blocks.1.norm1.weight is missing from it"),
        (lambda state: {"conv1.weight": torch.zeros(3, 3)}, "cls_token is missing from it"),
        (lambda state: state | {"norm.bias": torch.full((WIDTH,), torch.nan)}, "NaN or infinity"),
        (lambda state: {"a": 1}, "holds no"),
    ],
)
def test_file_of_another_encoder_is_one_line(
    form: Callable[[State], State], expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "clip.pth"
    torch.save(form(dict(make_encoder().state_dict())), file)
    message = error_of(build, "univfd", file)
    assert str(file) in message
    assert "model.backbone.encoder_weights" in message
    assert expected.replace("\\", "") in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"arch": "no_such_clip"}, "model.backbone.arch=no_such_clip: timm"),
        ({"arch": "hf-hub:timm/vit_base_patch16_clip_224.openai"}, "no such model"),
        ({"arch": "test_resnet"}, "no vision transformer with a class token"),
        ({"encoder_weights": None}, "a frozen encoder needs weights"),
        ({"encoder_weights": "no/such/file"}, "no such file"),
        ({"encoder_weights": "pretrained"}, "timm cannot build tiny_clip_for_tests"),
    ],
)
def test_encoder_that_cannot_be_had_is_one_line(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    encoder = save_encoder(tmp_path / "clip.pth")
    assert expected in error_of(lambda: build("univfd", encoder, **changes))


@pytest.mark.parametrize(("key", "value"), [("projection", 0), ("layers", 1.5)])
def test_rine_of_an_impossible_size_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path / "clip.pth")
    assert f"model.backbone.{key}={value}" in error_of(
        lambda: build("rine", encoder, **{key: value})
    )


def test_head_starts_from_the_same_weights_whether_the_encoder_was_read_before(
    tmp_path: Path,
) -> None:
    heads = []
    for _ in range(2):
        torch.manual_seed(5)
        heads.append(build("univfd", save_encoder(tmp_path / "clip.pth", seed=3)).head.weight)
    assert torch.equal(*heads)


def test_univfd_is_a_linear_layer_on_the_embedding(tmp_path: Path) -> None:
    """The embedding is the last class token, normalised and projected, as CLIP defines it."""
    network, encoder = build("univfd", save_encoder(tmp_path / "clip.pth")), make_encoder()
    tokens: Any = encoder.forward_features(pixels())  # type: ignore[operator]
    embedding = tokens[:, 0] @ encoder.state_dict()["head.weight"].T
    expected = embedding @ network.head.weight.T + network.head.bias
    assert network(pixels()).shape == (3, 1)
    assert torch.allclose(network(pixels()), expected, atol=1e-5)
    trained = [value for value in network.parameters() if value.requires_grad]
    assert sum(value.numel() for value in trained) == EMBEDDING + 1


def test_rine_sees_the_class_token_of_each_block(tmp_path: Path) -> None:
    network, encoder = build("rine", save_encoder(tmp_path / "clip.pth")), make_encoder()
    outputs: list[torch.Tensor] = []
    for block in encoder.blocks:  # type: ignore[union-attr]
        block.register_forward_hook(lambda _, __, output: outputs.append(output[:, 0]))
    encoder(pixels())
    expected = torch.stack(outputs, dim=1).detach()
    assert expected.shape == (3, BLOCKS, WIDTH)
    assert torch.allclose(network.features(pixels()), expected, atol=1e-6)


def test_rine_head_equals_a_plain_loop() -> None:
    torch.manual_seed(0)
    head = RineHead(blocks=3, width=5, projection=4, layers=2).eval()
    tokens = torch.randn(2, 3, 5)
    state = {key: value.numpy().astype(float) for key, value in head.state_dict().items()}

    def layer(name: str, values: np.ndarray) -> np.ndarray:
        return state[f"{name}.weight"] @ values + state[f"{name}.bias"]

    def projected(name: str, values: np.ndarray) -> np.ndarray:
        for place in (0, 3):  # a linear layer, ReLU, dropout
            values = np.maximum(layer(f"{name}.{place}", values), 0)
        return values

    scores = np.exp(state["importance"])
    expected = []
    for image in tokens.numpy().astype(float):
        summed = sum(
            scores[block] / scores.sum(0) * projected("project_tokens", image[block])
            for block in range(3)
        )
        hidden = projected("project_sum", np.asarray(summed))
        for place in (0, 2):
            hidden = np.maximum(layer(f"classifier.{place}", hidden), 0)
        expected.append(layer("classifier.4", hidden))
    assert head(tokens).detach().numpy() == pytest.approx(np.array(expected), abs=1e-6)


def test_real_encoder_has_the_sizes_that_the_papers_state() -> None:
    """Of the weights, which are not here, nothing is known."""
    with torch.device("meta"):
        network: Any = timm.create_model("vit_large_patch14_clip_quickgelu_224.openai")
    assert (network.num_classes, network.embed_dim, len(network.blocks)) == (768, 1024, 24)
    assert network.patch_embed.patch_size == (14, 14)


def test_metadata_keeps_where_the_encoder_is_from() -> None:
    backbone = {"name": "univfd", "arch": ARCH, "encoder_weights": "pretrained"}
    size = {"resize": None, "crop": SIDE}
    pixels_input = {"name": "pixels", "mean": [0.5] * 3, "std": [0.5] * 3}
    values = {"name": "univfd", "input": pixels_input, "backbone": backbone}
    settings = ModelSettings.from_dict(values | {"train": size, "test": size})
    assert settings.without_initial_weights().backbone == backbone
