"""Which files are checkpoints, what they expect, and what is refused."""

from __future__ import annotations

import os
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from detector import checkpoints
from detector.backbones import antialiased_resnet50, resnet
from detector.errors import DetectorError


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return resnet("resnet50")


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "file.pth")
    return folder / "file.pth"


def test_published_checkpoint_is_known_by_its_keys(network: nn.Module, tmp_path: Path) -> None:
    content = {"model": network.state_dict(), "optimizer": {"state": {}}, "total_steps": 270_048}
    checkpoint = checkpoints.read(saved(content, tmp_path))
    assert checkpoint.kind == "published"
    assert checkpoint.contract["preprocess"]["crop"] == 224
    checkpoint.load_into(resnet("resnet50"), "resnet50")


def test_bare_state_dict_of_a_resnet50_is_known(network: nn.Module, tmp_path: Path) -> None:
    checkpoint = checkpoints.read(saved(network.state_dict(), tmp_path))
    assert checkpoint.kind == "bare"
    other = resnet("resnet50")
    checkpoint.load_into(other, "resnet50")
    assert torch.equal(other.fc.weight, network.fc.weight)  # type: ignore[arg-type]


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    content = {"model": Payload(tmp_path / "ran"), "optimizer": {}, "total_steps": 1}
    with pytest.raises(DetectorError, match="safely"):
        checkpoints.read(saved(content, tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], torch.zeros(3)])
def test_other_files_of_torch_are_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="holds no detector"):
        checkpoints.read(saved(content, tmp_path))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02garbage"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DetectorError, match="not a checkpoint") as error:
        checkpoints.read(tmp_path / "file")
    assert "\n" not in str(error.value)


def test_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for path in (None, tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(DetectorError, match="checkpoint="):
            checkpoints.read(path)


def test_the_first_difference_is_named(network: nn.Module, tmp_path: Path) -> None:
    state = dict(network.state_dict())
    state["fc.weight"] = torch.zeros(1000, 2048)
    with pytest.raises(DetectorError, match=r"fc\.weight has shape \(1000, 2048\) instead of"):
        checkpoints.read(saved(state, tmp_path)).load_into(network, "resnet50")
    state = dict(network.state_dict())
    del state["layer1.0.bn1.bias"]
    with pytest.raises(DetectorError, match=r"layer1\.0\.bn1\.bias is missing"):
        checkpoints.read(saved(state, tmp_path)).load_into(network, "resnet50")


WANTED = deepcopy({key: checkpoints.PUBLISHED[key] for key in ("model", "preprocess")})


def a_checkpoint() -> checkpoints.Checkpoint:
    return checkpoints.Checkpoint(Path("x.pth"), "published", deepcopy(checkpoints.PUBLISHED), {})


def test_what_was_not_typed_is_the_checkpoints_to_say() -> None:
    other = deepcopy(WANTED)
    other["preprocess"]["crop"] = 64
    assert checkpoints.settle(a_checkpoint(), other, [], False)["preprocess"]["crop"] == 224


def test_what_was_typed_must_agree_unless_the_user_insists() -> None:
    other = deepcopy(WANTED)
    other["preprocess"]["mean"] = [0.5, 0.5, 0.5]
    typed = ["preprocess.mean=[0.5,0.5,0.5]"]
    with pytest.raises(DetectorError, match=r"preprocess\.mean=\[0\.485.*contract=override"):
        checkpoints.settle(a_checkpoint(), other, typed, False)
    insisted = checkpoints.settle(a_checkpoint(), other, typed, True)
    assert insisted["preprocess"]["mean"] == [0.5, 0.5, 0.5]
    checkpoints.settle(a_checkpoint(), WANTED, typed, False)


def test_only_what_was_typed_is_compared() -> None:
    other = deepcopy(WANTED)
    other["preprocess"]["resize"] = None
    kept = checkpoints.settle(a_checkpoint(), other, ["preprocess.crop=224"], False)
    assert kept["preprocess"]["resize"] == 256


def test_local_weights_fill_all_but_the_last_layer(tmp_path: Path) -> None:
    source = resnet("resnet18")
    torch.save(source.state_dict(), tmp_path / "w.pth")
    filled = resnet("resnet18", str(tmp_path / "w.pth"))
    assert torch.equal(filled.conv1.weight, source.conv1.weight)  # type: ignore[arg-type]
    assert not torch.equal(filled.fc.weight, source.fc.weight)  # type: ignore[arg-type]
    with pytest.raises(DetectorError, match=r"resnet50: .* differs"):
        resnet("resnet50", str(tmp_path / "w.pth"))
    with pytest.raises(DetectorError, match=r"model.weights=null"):
        resnet("resnet18", str(tmp_path / "missing.pth"))


def test_antialiased_resnet50_takes_resnet50s_weights(network: nn.Module) -> None:
    assert antialiased_resnet50().state_dict().keys() == network.state_dict().keys()


def test_antialiasing_makes_the_logit_steadier_under_a_shift(network: nn.Module) -> None:
    torch.manual_seed(0)
    filtered = antialiased_resnet50()
    filtered.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 80, 80)
    changes = []
    for model in (network.eval(), filtered.eval()):
        with torch.inference_mode():
            features = [
                nn.Sequential(*list(model.children())[:-1])(image[..., x : x + 64, :64])
                for x in (0, 1)
            ]
        changes.append(((features[0] - features[1]).norm() / features[0].norm()).item())
    assert changes[1] < 0.7 * changes[0]
