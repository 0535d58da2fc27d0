"""The training of AutoGAN, and the data sets that are built with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from genspot.common.errors import GenspotError
from genspot.data.settings import Simulation
from genspot.data.simulated import autogan_train, photographs
from genspot.data.simulated.autogan import Generator
from genspot.data.simulated.autogan_train import Training, load_or_train
from genspot.data.simulated.build import build
from genspot.data.simulated.photos import Photographs
from helpers.photographs import smooth, source

RECIPE = {"width": 4, "blocks": 1, "side": 32, "steps": 6, "seed": 0}
SIMULATION = Simulation(size=40, seed=0, train=5, super_resolved=5, val=2, test=2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(11):
        Image.fromarray(smooth(48 + number, number)).save(folder / f"{number:02d}.png")
    return folder


def make(folder: Path, split: str, photos: Path | None, **changes: Any) -> list[Path]:
    """Build a set and return its real images."""
    options: dict[str, Any] = {key: RECIPE[key] for key in ("width", "blocks", "side", "steps")}
    options |= {"photos": str(photos) if photos else None} | changes
    build(folder / split, "autogan", options, split, SIMULATION)
    return sorted((folder / split).rglob("0_real/*.png"))


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def test_generator_learns_to_give_back_an_image() -> None:
    training = Training(8, 1, seed=0)
    real = as_tensor(smooth(32, 0))
    differences = [training.step(real, 2e-3).item() for _ in range(40)]
    assert np.mean(differences[-5:]) < 0.6 * differences[0]


def test_side_need_not_be_a_multiple_of_4() -> None:
    training = Training(4, 1, seed=0)
    assert 0 < training.step(as_tensor(smooth(33, 0)), 2e-3).item() < 1


@pytest.mark.parametrize("part", [0, 1])
def test_step_minimises_the_losses_of_cyclegan(part: int) -> None:
    """The gradients of both networks, by the formulas of arXiv 1703.10593, section 4."""
    training, real = Training(4, 1, seed=0), as_tensor(smooth(32, 0))
    copy = Training(4, 1, seed=0)
    training.step(real, 0.0)  # a rate of 0 keeps the weights
    fake = copy.generator(real)
    if part == 0:
        loss = ((copy.discriminator(fake) - 1) ** 2).mean() + 10 * (fake - real).abs().mean()
    else:
        on_real, on_fake = (copy.discriminator(one) for one in (real, fake.detach()))
        loss = (((on_real - 1) ** 2).mean() + (on_fake**2).mean()) / 2
    loss.backward()
    for one, other in zip(
        training.parts[part].parameters(), copy.parts[part].parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, other.grad)


def test_rate_falls_to_0_over_the_second_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def step(self: Training, real: torch.Tensor, rate: float) -> torch.Tensor:
        rates.append(rate)
        return torch.zeros(())

    monkeypatch.setattr(Training, "step", step)
    load_or_train(tmp_path / "generator", RECIPE | {"steps": 8}, source)
    assert rates == pytest.approx([2e-4] * 5 + [1.5e-4, 1e-4, 0.5e-4])


def test_training_leaves_other_draws_and_gives_the_same_weights_twice(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for name in ("a", "b"):
        load_or_train(tmp_path / name, RECIPE, source)
    assert torch.equal(torch.rand(3), expected)
    first, second = load_file(tmp_path / "a"), load_file(tmp_path / "b")
    assert all(torch.equal(first[key], second[key]) for key in first)
    load_or_train(tmp_path / "c", RECIPE | {"seed": 1}, source)
    assert not torch.equal(load_file(tmp_path / "c")["layers.1.weight"], first["layers.1.weight"])


def test_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load_or_train(tmp_path / "whole", RECIPE, source)
    caplog.set_level("INFO")
    monkeypatch.setattr(autogan_train, "SAVE_SECONDS", -1)
    draw, drawn = autogan_train._draw, []

    def stop_at_3(photographs: Photographs, recipe: dict[str, Any], step: int) -> torch.Tensor:
        drawn.append(step)
        if drawn.count(3) == 1 and step == 3:
            raise KeyboardInterrupt
        return draw(photographs, recipe, step)

    monkeypatch.setattr(autogan_train, "_draw", stop_at_3)
    with pytest.raises(KeyboardInterrupt):
        load_or_train(tmp_path / "generator", RECIPE, source)
    assert not (tmp_path / "generator").exists()
    assert f"kept in {tmp_path}/training.ckpt; it goes on from there" in caplog.text
    with pytest.raises(GenspotError, match=r"training.ckpt was trained with other.*\(steps\)"):
        load_or_train(tmp_path / "generator", RECIPE | {"steps": 7}, source)
    load_or_train(tmp_path / "generator", RECIPE, source)
    assert drawn == [0, 1, 2, 3, 3, 4, 5]
    assert not (tmp_path / "training.ckpt").exists()
    whole, resumed = (load_file(tmp_path / name) for name in ("whole", "generator"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_training_that_diverges_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autogan_train, "_draw", lambda *_: torch.full((1, 3, 32, 32), torch.nan))
    with pytest.raises(GenspotError, match="diverged by step 0: give") as error:
        load_or_train(tmp_path / "generator", RECIPE, source)
    assert "\n" not in str(error.value) and not (tmp_path / "generator").exists()


def test_fakes_are_what_the_generator_makes_of_whole_photographs(
    tmp_path: Path, photos: Path
) -> None:
    reals = make(tmp_path, "train", photos)
    assert [path.parent.parent.name for path in reals] == ["train"] * SIMULATION.train
    model = Generator(RECIPE["width"], RECIPE["blocks"]).eval()
    model.load_state_dict(load_file(tmp_path / "generator.safetensors"))
    for path in reals:
        real = np.asarray(Image.open(path))
        fake = np.asarray(Image.open(path.parents[1] / "1_fake" / path.name))
        assert real.shape == fake.shape == (40, 40, 3)
        with torch.inference_mode():
            output = model(as_tensor(real))
        expected = (255 * output[0]).permute(1, 2, 0).numpy()
        assert np.abs(expected - fake).max() < 0.51


def test_weights_are_reused_by_the_validation_set_and_later_runs(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "train", photos)
    (tmp_path / "file").touch()
    modes = [(tmp_path / name).stat().st_mode for name in ("file", "generator.safetensors")]
    assert modes[0] == modes[1]  # others may read it as any other file
    monkeypatch.setattr(autogan_train, "_train", None)  # would raise TypeError
    make(tmp_path, "train", photos)
    assert len(make(tmp_path, "val", photos)) == SIMULATION.val
    with pytest.raises(GenspotError, match="train contains something else than autogan"):
        make(tmp_path, "train", photos, steps=7)
    (tmp_path / "train" / "recipe.json").unlink()
    for path in sorted((tmp_path / "train").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(GenspotError, match=r"other settings \(steps\); remove it, or give"):
        make(tmp_path, "train", photos, steps=7)
    (photos / "more.png").write_bytes((photos / "00.png").read_bytes())
    with pytest.raises(GenspotError, match=r"other settings \(photographs\)"):
        make(tmp_path, "train", photos)


def test_embedded_photographs_are_the_classes_without_photos(tmp_path: Path) -> None:
    reals = make(tmp_path, "val", None)
    assert [path.parents[1].name for path in reals] == photographs.names("val")[:2]


def test_windows_of_any_size_have_fakes_of_that_size(tmp_path: Path) -> None:
    options = {key: RECIPE[key] for key in ("width", "blocks", "side", "steps")}
    build(tmp_path / "set", "autogan", options, "val", replace(SIMULATION, size=41))
    sizes = {Image.open(path).size for path in (tmp_path / "set").rglob("*.png")}
    assert sizes == {(41, 41)}


@pytest.mark.parametrize("name", ["generator.safetensors", "training.ckpt"])
@pytest.mark.parametrize("content", [b"", b"no weights", bytes(range(256))])
def test_damaged_weights_are_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GenspotError, match=f"{name} is damaged or of another program: remove it"):
        load_or_train(tmp_path / "generator.safetensors", RECIPE, source)
    assert (tmp_path / name).read_bytes() == content
