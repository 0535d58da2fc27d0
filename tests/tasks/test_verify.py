"""Published logits compared with those of the detector: task=verify."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.detector.backbones.ferretnet import FerretNet
from genspot.detector.inputs.median3 import MedianResidual
from helpers.cli_runner import CliRunner
from helpers.images import save_image
from helpers.published_weights import FILE, NAME, ferretnet_s, write_entry
from helpers.runs import read_csv
from helpers.tasks import run_task

DATA = ferretnet_s()
IMAGES = ("a.png", "sub/b.png", "c.png")
CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}


def logit(path: Path, crop: int | None) -> float:
    """Return the logit by the network's parts alone."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    if crop:
        top, left = ((side - crop) // 2 for side in pixels.shape[:2])
        pixels = pixels[top : top + crop, left : left + crop]
    network = FerretNet(width=32, depth=2).eval()
    network.load_state_dict(torch.load(io.BytesIO(DATA), weights_only=True)["model"])
    batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return float(network(MedianResidual(**CLIP)(batch)))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(IMAGES):
        save_image(folder / name, number, fake=bool(number), size=(70, 64))
    return folder


@pytest.fixture
def verify(tmp_path: Path, images: Path) -> Callable[..., Path]:
    """Runs task=verify on the right logits, but for `changes` of an entry and more settings."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / FILE).write_bytes(DATA)
    rows = [(name, 48) for name in IMAGES] + [(IMAGES[0], None)]
    logits = [
        {"image": name, "crop": crop, "logit": logit(images / name, crop)} for name, crop in rows
    ]

    def run(*settings: str, wrong: float = 0, **changes: Any) -> Path:
        given = [dict(one) for one in logits]
        given[1]["logit"] += wrong
        about = {"logits": given, "logits_source": "a test", "tolerance": 1e-4, **changes}
        write_entry(tmp_path / "conf", "https://example.org/a", DATA, **about)
        base = [f"hydra.searchpath=[file://{tmp_path}/conf]", f"paths.weights={tmp_path}/cache"]
        base += ["task=verify", f"checkpoint=published/{NAME}", f"inputs={images}"]
        return run_task(*base, *settings, folder=tmp_path / "run")

    return run


def test_verify_of_the_right_logits_says_so(
    verify: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    rows = read_csv(verify() / "logits.csv")
    printed = capfd.readouterr().out
    assert f"published/{NAME}: all 4 published logits are met; the largest difference" in printed
    assert [(row["image"], row["crop"]) for row in rows] == [
        *((name, "48") for name in IMAGES),
        (IMAGES[0], "none"),
    ]
    for row in rows:
        assert float(row["logit"]) == pytest.approx(float(row["published"]), abs=1e-4)


@pytest.mark.parametrize("wrong", [0.01, -3.0])
def test_verify_of_another_logit_names_its_image(
    wrong: float, verify: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(GenspotError) as error:
        verify(wrong=wrong)
    message = str(error.value)
    assert f"published/{NAME} is not verified: logits that differ by more than 0.0001" in message
    assert "sub/b.png (crop 48) has " in message and "a.png (" not in message
    assert len(read_csv(tmp_path / "run" / "logits.csv")) == 4


def test_verify_within_the_tolerance_of_the_entry_is_met(verify: Callable[..., Path]) -> None:
    verify(wrong=0.01, tolerance=0.02)


def test_verify_names_images_that_are_missing(
    verify: Callable[..., Path], images: Path, tmp_path: Path
) -> None:
    (images / "sub" / "b.png").unlink()
    with pytest.raises(GenspotError, match=rf"missing in {images}: sub/b\.png; see"):
        verify()
    assert len(read_csv(tmp_path / "run" / "logits.csv")) == 3


def test_verify_without_any_image_needs_no_weights(
    verify: Callable[..., Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "cache" / FILE).unlink()
    with pytest.raises(GenspotError, match=rf"missing in {empty}: a\.png, sub/b\.png, c\.png$"):
        verify(f"inputs={empty}")


def test_verify_with_an_unreadable_image_names_it(
    verify: Callable[..., Path], images: Path
) -> None:
    (images / "c.png").write_bytes(b"no image")
    with pytest.raises(GenspotError, match=r"c\.png"):
        verify()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["inputs=null"], r"needs inputs=FOLDER, .*: a\.png, sub/b\.png, c\.png; a test"),
        (["inputs=nowhere"], "inputs=nowhere: task=verify needs inputs=FOLDER"),
        (["inputs=[.,.]"], "needs inputs=FOLDER"),
        (["crop=32"], "crop has no effect on task=verify"),
        (["degradations=jpeg_75"], "degradations has no effect"),
        (["protocol=jpeg_75"], "protocol has no effect"),
        (["model=resnet18"], "model has no effect"),
        (["model.test.crop=3"], "model has no effect"),
        (["checkpoint=null"], "needs checkpoint=published/NAME"),
        (["checkpoint=a.pth"], "needs checkpoint=published/NAME"),
        (["checkpoint=published/ferretnet_s"], "no published logits of it, but of .*/blur_jpg_0"),
        (["checkpoint=published/no"], "no such weights; there are"),
    ],
)
def test_verify_refuses_what_it_cannot_do(
    settings: list[str], expected: str, verify: Callable[..., Path]
) -> None:
    with pytest.raises(GenspotError, match=expected):
        verify(*settings)


def test_verify_on_the_command_line_ends_with_1_where_a_logit_differs(
    verify: Callable[..., Path], run: CliRunner, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(GenspotError):
        verify(wrong=1)
    settings = ["task=verify", f"checkpoint=published/{NAME}", f"inputs={images}"]
    settings += [f"paths.weights={tmp_path}/cache", f"hydra.run.dir={tmp_path}/cli"]
    result = run("--config-dir", f"{tmp_path}/conf", *settings, cwd=tmp_path)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("genspot: ")]
    assert f"published/{NAME} is not verified" in line and "Traceback" not in result.stderr
