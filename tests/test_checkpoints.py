"""Which files are checkpoints, what they expect, and what is refused."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pickle
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hydra.utils import instantiate
from PIL import Image
from torch import nn

from conftest import ROOT, Run, save_image
from genspot.detector import checkpoint as checkpoints
from genspot.detector import metadata as contracts
from genspot.detector.backbones import antialiased_resnet50, resnet
from genspot.common.errors import GenspotError


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return resnet("resnet50")


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return resnet("resnet18")


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


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "older format"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    archive: bool, tmp_path: Path
) -> None:
    content = {"model": Payload(tmp_path / "ran"), "optimizer": {}, "total_steps": 1}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=archive)
    with pytest.raises(
        GenspotError, match=r"it would call .*\.system, and so could run"
    ) as error:
        checkpoints.read(tmp_path / "x.pth")
    assert "weights_only" not in str(error.value)
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "x.pth", weights_only=False)  # this is what it was kept from
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], torch.zeros(3), {1: 2}, {}])
def test_other_files_of_torch_are_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="holds no detector"):
        checkpoints.read(saved(content, tmp_path))


def zipped(compression: int) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x/data.pkl", bytes(1_000_000))
    return file.getvalue()


def weights() -> bytes:
    file = BytesIO()
    torch.save({"conv1.weight": torch.ones(1000), "fc.weight": torch.ones(3)}, file)
    return file.getvalue()


def flipped(content: bytes) -> bytes:
    place = content.index(struct.pack("<3f", 1, 1, 1)) + 40
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def as_safetensors() -> bytes:
    return safetensors.torch.save({"conv1.weight": torch.ones(3)})


def as_program() -> bytes:
    file = BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), file)
    return file.getvalue()


def oversized() -> bytes:
    file = BytesIO()
    state = {"conv1.weight": torch.ones(70_001), "fc.weight": torch.ones(3)}
    torch.save(state, file, _use_new_zipfile_serialization=False)
    said, forged = (struct.pack("<ci", b"J", size) for size in (70_001, 2**31 - 1))
    assert said in file.getvalue()
    return file.getvalue().replace(said, forged)


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty; copy or download"),
    "text": (lambda: b"no checkpoint", "not a checkpoint"),
    "a page": (lambda: b"<!doctype html><title>404</title>", "not a checkpoint"),
    "half a pickle": (lambda: b"\x80\x02garbage", "not a checkpoint"),
    "a newer pickle": (lambda: pickle.dumps({"model": 1}, 4), "not a checkpoint"),
    "another archive": (lambda: zipped(zipfile.ZIP_STORED), "not a checkpoint"),
    "a bomb": (lambda: zipped(zipfile.ZIP_DEFLATED), "would unpack to more than it holds"),
    "cut short": (lambda: weights()[:3000], "damaged or cannot be read"),
    "a flipped bit": (lambda: flipped(weights()), r"damaged: \S*data/0 differs"),
    "a size that it lacks": (oversized, "not a checkpoint"),
    "safetensors": (as_safetensors, "not a checkpoint"),
    "a program": (as_program, "TorchScript program"),
}


@pytest.mark.parametrize("name", FILES)
def test_other_files_are_refused(
    name: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    content, expected = FILES[name]
    (tmp_path / "file").write_bytes(content())
    recwarn.clear()
    with pytest.raises(GenspotError, match=expected) as error:
        checkpoints.read(tmp_path / "file")
    assert str(error.value).isprintable() and len(str(error.value)) < 400
    assert not recwarn


def test_an_archive_without_checksums_is_read(network: nn.Module, tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        file = saved(network.state_dict(), tmp_path)
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip()  # so a plain check would refuse it
    checkpoints.read(file).load_into(network, "resnet50")


def test_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for path in (None, tmp_path / "none.ckpt"):
        with pytest.raises(GenspotError, match="checkpoint="):
            checkpoints.read(path)
    with pytest.raises(GenspotError, match="is a folder"):
        checkpoints.read(tmp_path)


@pytest.mark.parametrize("form", ["published", "bare"])
def test_the_prefix_of_data_parallel_is_taken_off(
    form: str, network: nn.Module, tmp_path: Path
) -> None:
    state: dict[str, object] = dict(nn.DataParallel(network).state_dict())
    assert all(key.startswith("module.") for key in state)
    if form == "published":
        state = {"model": state, "optimizer": {}, "total_steps": 1}
    checkpoint = checkpoints.read(saved(state, tmp_path))
    assert checkpoint.kind == form
    checkpoint.load_into(network, "resnet50")


def test_a_network_of_ones_own_may_have_a_part_named_module(tmp_path: Path) -> None:
    content = own(LINE, {"module.weight": torch.ones(1)})
    assert checkpoints.read(saved(content, tmp_path)).state.keys() == {"module.weight"}


DIFFERENCES: dict[str, tuple[dict[str, torch.Tensor | None], str]] = {
    "classes": (
        {"fc.bias": torch.zeros(1000), "fc.weight": torch.zeros(1000, 512)},
        r"fit resnet18: fc\.weight has shape \(1000, 512\) instead of \(1, 512\)",
    ),
    "missing": ({"layer1.0.bn1.bias": None}, r"layer1\.0\.bn1\.bias is missing"),
    "more": ({"fc2.bias": torch.zeros(1)}, r"fc2\.bias is only in the checkpoint"),
    "written oddly": ({"a\n\x1b[2Jb": torch.zeros(1)}, r"a\\n\\x1b\[2Jb' is only in"),
    "numbers": (
        {"fc.bias": torch.zeros(1, dtype=torch.uint8)},
        r"fc\.bias is torch\.uint8, not torch\.float32",
    ),
    "no numbers": ({"fc.bias": torch.tensor([torch.nan])}, r"fc\.bias holds NaN or infinity"),
    "too large": (
        {"fc.bias": torch.tensor([1e300], dtype=torch.float64)},
        r"fc\.bias holds NaN or infinity",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_first_difference_is_named(name: str, small: nn.Module, tmp_path: Path) -> None:
    changes, expected = DIFFERENCES[name]
    state = {
        key: value for key, value in (small.state_dict() | changes).items() if value is not None
    }
    before = small.state_dict()["conv1.weight"].clone()
    state["conv1.weight"] = before + 1
    with pytest.raises(GenspotError, match=expected) as error:
        checkpoints.read(saved(state, tmp_path)).load_into(small, "resnet18")
    assert str(error.value).isprintable()
    assert torch.equal(small.state_dict()["conv1.weight"], before)


def test_another_architecture_names_its_first_layer_that_differs(
    network: nn.Module, tmp_path: Path
) -> None:
    content = {"model": resnet("resnet18").state_dict(), "optimizer": {}, "total_steps": 1}
    with pytest.raises(
        GenspotError, match=r"layer1\.0\.conv1\.weight has shape \(64, 64, 3, 3\)"
    ):
        checkpoints.read(saved(content, tmp_path)).load_into(network, "resnet50")


@pytest.mark.parametrize(
    "value",
    [1, "text", None, torch.ones(9).expand(10**6, 9), torch.ones(3).to_sparse()]
    + [torch.ones(3, device="meta")],
    ids=["number", "text", "nothing", "repeated without end", "sparse", "no values"],
)
def test_what_is_no_tensor_is_no_weight(value: object, tmp_path: Path) -> None:
    state = {"conv1.weight": torch.ones(3), "fc.weight": value}
    with pytest.raises(GenspotError, match=r"has fc\.weight, which is no plain tensor"):
        checkpoints.read(saved(state, tmp_path))


WANTED = deepcopy({key: checkpoints.PUBLISHED[key] for key in ("model", "preprocess")})

LINE: dict[str, Any] = {
    "_target_": "torch.nn.Sequential",
    "_args_": [
        {"_target_": "torch.nn.AdaptiveAvgPool2d", "output_size": 1},
        {"_target_": "torch.nn.Flatten"},
        {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 1},
    ],
}


def own(network: dict[str, Any], state: dict[str, torch.Tensor] | None = None) -> dict[str, Any]:
    """What genspot saves: here of three numbers, the weights of the channels' means."""
    if state is None:
        state = {"2.weight": torch.tensor([[1.0, 2.0, 3.0]]), "2.bias": torch.tensor([0.5])}
    return {
        "genspot": {
            "data": "folder",
            "aug": "none",
            "study": None,
            "seed": 0,
            "model": {"name": "line", "network": deepcopy(network)},
            "preprocess": {
                "resize": None,
                "crop": 32,
                "mean": [0.1, 0.2, 0.3],
                "std": [1.0, 2, 4],
            },
        },
        "state_dict": {f"network.{key}": value for key, value in state.items()},
    }


def endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def doubled() -> list[Any]:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("", None, "its contract is None"),
        ("", [1], "its contract is"),
        ("data", None, "data=None"),
        ("data", "a\nb", r"data='a\\nb'"),
        ("aug", ["none"], "aug="),
        ("study", {}, "study="),
        ("model", None, "model=None"),
        ("model.name", [], "model="),
        ("model.network", "resnet", "model.network=resnet"),
        ("model.network", {}, "model.network="),
        ("preprocess", "imagenet", "preprocess=imagenet"),
        ("preprocess.crop", "big", "preprocess.crop=big"),
        ("preprocess.crop", None, "preprocess.crop=None"),
        ("preprocess.crop", -3, "preprocess.crop=-3"),
        ("preprocess.crop", True, "preprocess.crop=True"),
        ("preprocess.crop", 10**6, "preprocess.crop=1000000"),
        ("preprocess.resize", 0, "preprocess.resize=0"),
        ("preprocess.mean", [0.5], "preprocess.mean="),
        ("preprocess.mean", ["a", "b", "c"], "preprocess.mean="),
        ("preprocess.mean", torch.zeros(3), "mean is a Tensor"),
        ("preprocess.mean", [torch.inf, 0.0, 0.0], "preprocess.mean="),
        ("preprocess.std", [1.0, 0.0, 1.0], "preprocess.std="),
        ("preprocess.std", None, "preprocess.std="),
        ("model.network.arch", "${oc.env:HOME}", "no plain text"),
        ("model.network.arch", {"deep": ["${oc.env:HOME}"]}, "deep/0"),
        ("aug", "???", "no plain text"),
        ("preprocess.mean", [2**80, 0, 0], "64 bits"),
        ("model.network", {1: 2}, "keys that are no words"),
        ("model.network.arch", endless(), "no end"),
        ("model.network.arch", doubled(), "no end"),
    ],
)
def test_a_contract_of_another_form_is_refused(
    place: str, value: object, expected: str, tmp_path: Path
) -> None:
    content = node = own(LINE)
    *way, last = ["genspot", *place.split(".")] if place else ["genspot"]
    for key in way:
        node = node[key]
    node[last] = value
    with pytest.raises(GenspotError, match="does not say what it expects") as error:
        checkpoints.read(saved(content, tmp_path))
    assert re.search(expected, str(error.value))
    assert str(error.value).isprintable() and len(str(error.value)) < 600


@pytest.mark.parametrize("key", ["data", "aug", "model", "preprocess", "state_dict"])
def test_what_is_missing_is_named(key: str, tmp_path: Path) -> None:
    content = own(LINE)
    del (content if key == "state_dict" else content["genspot"])[key]
    with pytest.raises(GenspotError, match=f"{key} is missing"):
        checkpoints.read(saved(content, tmp_path))


def settled(network: dict[str, Any], folder: Path, **changes: Any) -> checkpoints.Checkpoint:
    """The checkpoint of a stranger whose network is `network`, after `settle` let it pass."""
    checkpoint = checkpoints.read(saved(own(network, **changes), folder))
    checkpoints.settle(checkpoint, deepcopy(WANTED), [], False)
    return checkpoint


STRANGE = [
    {"_target_": "builtins.open", "_args_": ["RAN", "w"]},
    {
        "_target_": "pathlib.Path.touch",
        "_args_": [{"_target_": "pathlib.Path", "_args_": ["RAN"]}],
    },
    {"_target_": "torch.nn.Sequential", "x": [{"y": {"_target_": "os.mkdir", "path": "RAN"}}]},
    {"_target_": "torch.nn.Sequential", "_recursive_": False, "x": {"_target_": "os.mkdir"}},
    {"_target_": "os.mkdir", "path": "RAN", "_partial_": True},
    {"_target_": "genspot.detector.backbones.resnet", "arch": "resnet18", "weights": "RAN"},
    {"_target_": "genspot.detector.backbones.resnet", "_args_": ["resnet18", "RAN"]},
    {"_target_": "genspot.detector.backbones.torch.load", "f": "RAN"},
    {"_target_": "torchvision.models.resnet18", "weights": "DEFAULT"},
    {"_target_": "torchvision.models.resnet18", "pretrained": True},
    {"_target_": "torchvision.models.resnet18", "_args_": [True]},
    {"_target_": "torchvision.models.get_model", "name": "resnet18", "weights": "DEFAULT"},
    {"_target_": "torch.nn.modules.module.warnings.sys.exit"},
    {"_target_": "torch.nn.modules.module.torch.save", "obj": 1, "f": "RAN"},
    {"_target_": "torch.nn.modules.module.OrderedDict"},
    {"_target_": "torch.nn.Module.load_state_dict"},
    {"_target_": "torch.nn.LazyLinear", "out_features": 1},
    {"_target_": "torch.nn..Linear"},
    {"_target_": "torch.nnx.Linear"},
    {"_target_": ["torch.nn.Linear"]},
    {"_target_": None},
]


@pytest.mark.parametrize("network", STRANGE, ids=lambda one: str(one["_target_"]))
def test_a_network_that_is_more_than_layers_is_refused_and_not_built(
    network: dict[str, Any], tmp_path: Path
) -> None:
    network = json.loads(json.dumps(network).replace("RAN", str(tmp_path / "ran")))
    with pytest.raises(
        GenspotError, match=r"file\.pth is refused: .*could run any.*model=…"
    ) as why:
        settled(network, tmp_path)
    assert str(why.value).isprintable()
    assert not (tmp_path / "ran").exists()


def test_asking_about_a_module_does_not_import_it(tmp_path: Path) -> None:
    assert "torch.nn.backends.thnn" not in sys.modules  # it exists; nothing imports it
    assert importlib.util.find_spec("torch.nn.backends.thnn")
    before = set(sys.modules)
    with pytest.raises(GenspotError, match="is refused"):
        settled({"_target_": "torch.nn.backends.thnn.backend"}, tmp_path)
    assert not {name for name in set(sys.modules) - before if name.startswith("torch.nn.backends")}


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("genspot.detector.backbones.resnet", {"arch": "resnet18", "weights": None}),
        ("genspot.detector.backbones.antialiased_resnet50", {"weights": None}),
        ("torchvision.models.resnet18", {"num_classes": 1}),
    ],
)
def test_layers_are_built_and_filled(
    target: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    network = {"_target_": target, **arguments}
    source = instantiate(network).eval()
    checkpoint = settled(network, tmp_path, state=source.state_dict())
    built = checkpoint.build(checkpoint.contract["model"]).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(built(images), source(images))


def test_a_network_written_out_in_layers_is_built(tmp_path: Path) -> None:
    checkpoint = settled(LINE, tmp_path)
    built = checkpoint.build(checkpoint.contract["model"])
    images = torch.rand(2, 3, 8, 8)
    expected = images.mean((2, 3)) @ torch.tensor([1.0, 2.0, 3.0]) + 0.5
    torch.testing.assert_close(built(images)[:, 0], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken_as_they_are(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    state = {"2.weight": torch.tensor([[0.1, 0.2, 0.3]]).to(dtype), "2.bias": torch.ones(1)}
    checkpoint = settled(LINE, tmp_path, state=state)
    built: Any = checkpoint.build(checkpoint.contract["model"])
    assert torch.equal(built[2].weight, state["2.weight"].float())


def test_the_network_that_the_command_names_may_be_anything(tmp_path: Path) -> None:
    network = {"_target_": "collections.OrderedDict"}
    checkpoint = checkpoints.read(saved(own(network), tmp_path))
    wanted = {"model": checkpoint.contract["model"], "preprocess": WANTED["preprocess"]}
    checkpoints.settle(checkpoint, deepcopy(wanted), ["model=mine"], False)
    with pytest.raises(GenspotError, match="cannot build it"):  # it was tried, and is no network
        checkpoint.build(checkpoint.contract["model"])


def linear(inputs: int, outputs: int) -> dict[str, Any]:
    return {"_target_": "torch.nn.Linear", "in_features": inputs, "out_features": outputs}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (linear(10**7, 10**7), r"weight has shape \(1, 32\) instead of \(10000000, 10000000\)"),
        (linear(32, 1), r"no two logits of shape \(2, 1\) but \(2, 3, 32, 1\)"),
        ({"_target_": "torch.nn.Linear", "size": 3}, "no two logits .* but TypeError"),
        ({**linear(32, 1), "_partial_": True}, "no two logits"),
        ({"_target_": "genspot.detector.backbones.resnet", "arch": "resnet1"}, "no two logits .*resnet1"),
    ],
    ids=["of a size that no memory holds", "no detector", "other arguments", "half", "unknown"],
)
def test_layers_that_do_not_fit_are_refused_at_no_cost(
    network: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    state = {"weight": torch.ones(1, 32), "bias": torch.ones(1)}
    with pytest.raises(GenspotError, match=expected) as error:
        settled(network, tmp_path, state=state)
    assert str(error.value).isprintable() and "file.pth" in str(error.value)


@pytest.mark.parametrize("name", ["../../../x", "a,b", "x'y", "[a]", "a=b", "${seed}", "", "/x"])
def test_a_checkpoint_names_data_and_study_by_no_path(name: str) -> None:
    for key, group in (("data", "data"), ("study", "experiments")):
        with pytest.raises(GenspotError, match=f"which is no file of {group}"):
            contracts.choice({key: name}, key)
        assert contracts.choice({key: "my set_1.0"}, key) == f"{group}='my set_1.0'"


def test_a_file_beside_a_checkpoint_is_not_composed(run: Run, tmp_path: Path) -> None:
    """Hydra would take it: a path as the name of a data set leads out of conf/."""
    target = f"{{_target_: builtins.open, _args_: ['{tmp_path}/ran', w]}}"
    lines = [
        "# @package _global_",
        "data: {name: evil}",
        "generator: {}",
        f"detector: {{more: {target}}}",
    ]
    (tmp_path / "evil.yaml").write_text("\n".join(lines))
    content = own(LINE)
    content["genspot"]["data"] = os.path.relpath(tmp_path / "evil", ROOT / "conf" / "data")
    saved(content, tmp_path)
    save_image(tmp_path / "photo.png", 0, fake=False)
    words = ["task=predict", "checkpoint=file.pth", "inputs=photo.png", "logger=none"]
    result = run(*words, f"hydra.run.dir={tmp_path}/out", cwd=tmp_path)
    assert result.returncode != 0
    assert not (tmp_path / "ran").exists()
    (line,) = result.stderr.splitlines()
    assert line.startswith("genspot: the checkpoint names data=../")


def test_an_insisted_contract_is_evaluated(run: Run, tmp_path: Path) -> None:
    """The logit of one photo by hand, under what was typed."""
    saved(own(LINE), tmp_path)
    save_image(tmp_path / "photo.png", 0, fake=False, size=(32, 32))
    words = ["task=predict", "checkpoint=file.pth", "inputs=photo.png", "workers=0", "logger=none"]
    words += [f"hydra.run.dir={tmp_path}/out", "preprocess.mean=[0.5,0.6,0.7]"]
    insisted = run(*words, "contract=override", cwd=tmp_path)
    assert insisted.returncode == 0, insisted.stderr
    (row,) = csv.DictReader((tmp_path / "out" / "predictions.csv").open())
    pixels = np.asarray(Image.open(tmp_path / "photo.png")).reshape(-1, 3) / 255
    means = (pixels.mean(0) - [0.5, 0.6, 0.7]) / [1, 2, 4]
    assert float(row["logit"]) == pytest.approx(means @ [1, 2, 3] + 0.5, abs=1e-5)


def a_checkpoint() -> checkpoints.Checkpoint:
    return checkpoints.Checkpoint(Path("x.pth"), "published", deepcopy(checkpoints.PUBLISHED), {})


def test_what_was_not_typed_is_the_checkpoints_to_say() -> None:
    other = deepcopy(WANTED)
    other["preprocess"]["crop"] = 64
    assert checkpoints.settle(a_checkpoint(), other, [], False)["preprocess"]["crop"] == 224


def test_what_was_typed_must_agree_unless_the_user_insists() -> None:
    other = deepcopy(WANTED)
    other["preprocess"]["mean"] = [0.5, 0.5, 0.5]
    for typed in (["preprocess.mean=[0.5,0.5,0.5]"], ["++preprocess.mean=[0.5,0.5,0.5]"]):
        with pytest.raises(GenspotError, match=r"preprocess\.mean=\[0\.485.*contract=override"):
            checkpoints.settle(a_checkpoint(), other, typed, False)
    insisted = checkpoints.settle(a_checkpoint(), other, typed, True)
    assert insisted["preprocess"]["mean"] == [0.5, 0.5, 0.5]
    checkpoints.settle(a_checkpoint(), WANTED, typed, False)


def test_another_model_is_refused_unless_the_user_insists() -> None:
    other = deepcopy(WANTED)
    other["model"] = {"name": "resnet18", "network": {"_target_": "mine", "arch": "resnet18"}}
    with pytest.raises(GenspotError, match=r"model\.name=resnet50, not resnet18.*override"):
        checkpoints.settle(a_checkpoint(), other, ["model=resnet18"], False)
    insisted = checkpoints.settle(a_checkpoint(), other, ["model=resnet18"], True)
    assert insisted["model"] == other["model"]


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
    with pytest.raises(GenspotError, match=r"resnet50: .* differs"):
        resnet("resnet50", str(tmp_path / "w.pth"))
    with pytest.raises(GenspotError, match=r"model.weights=null"):
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
