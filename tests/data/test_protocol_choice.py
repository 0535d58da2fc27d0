"""The protocol that is chosen from sizes and JPEG qualities."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data.layout import sample_table
from genspot.data.protocol_choice import DEFAULT_QUALITY, choose_protocol
from genspot.data.settings import Loading
from helpers.arrays import make_noise

LOADING = Loading(batch_size=1, eval_batch_size=1, workers=0, seed=0)


def save(folder: Path, name: str, size: tuple[int, int] = (40, 40), **options: object) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    Image.fromarray(make_noise(size[1], size[0], 0)).save(path, **options)
    return str(path)


def table(reals: list[str], fakes: list[str]):
    rows = [(path, "s", "", 0) for path in reals] + [(path, "s", "", 1) for path in fakes]
    return sample_table(rows)


def test_choice_is_the_smallest_side_and_the_lowest_quality(tmp_path: Path) -> None:
    reals = [save(tmp_path, "a.jpg", (50, 70), quality=85), save(tmp_path, "b.jpg", quality=95)]
    fakes = [save(tmp_path, "c.png", (200, 38)), save(tmp_path, "d.png", (60, 60))]
    protocol, reasons = choose_protocol({"mine": table(reals, fakes)}, LOADING)
    assert protocol == "fit_38+jpeg_85"
    assert "fake images of mine" in reasons[0] and "0 of 4 images do" in reasons[0]
    assert "real images of mine" in reasons[1]
    assert "3 are larger" in reasons[0] and "protocol=fit_28+" in reasons[0]


def test_choice_over_sets_is_one_protocol(tmp_path: Path) -> None:
    pair = [save(tmp_path, "a.jpg", (64, 64), quality=60)], [save(tmp_path, "b.png", (64, 64))]
    small = [save(tmp_path, "c.png", (30, 31))], [save(tmp_path, "d.png", (64, 64))]
    protocol, reasons = choose_protocol({"one": table(*pair), "two": table(*small)}, LOADING)
    assert protocol == "fit_30+jpeg_60"
    assert "real images of two" in reasons[0] and "real images of one" in reasons[1]


def test_choice_without_jpeg_files_says_why(tmp_path: Path) -> None:
    tables = {"s": table([save(tmp_path, "a.png")], [save(tmp_path, "b.webp")])}
    protocol, reasons = choose_protocol(tables, LOADING)
    assert protocol == f"fit_40+jpeg_{DEFAULT_QUALITY}"
    assert "no file is a JPEG" in reasons[1]
    assert "larger" not in reasons[0]


def test_choice_leaves_out_one_percent_that_is_smaller(tmp_path: Path) -> None:
    usual, tiny = save(tmp_path, "a.png"), save(tmp_path, "b.png", (1, 1))
    tables = {"s": table([usual] * 199 + [tiny], [usual] * 150)}
    protocol, reasons = choose_protocol(tables, LOADING)
    assert protocol.startswith("fit_40+") and "1 of 350 images do" in reasons[0]


def test_choice_passes_over_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    broken, missing = str(tmp_path / "broken.jpg"), str(tmp_path / "missing.png")
    good = save(tmp_path, "a.png", (33, 33))
    assert choose_protocol({"s": table([broken, good], [missing])}, LOADING)[0].startswith(
        "fit_33"
    )
    with pytest.raises(GenspotError, match=r"^no image of these sets can be read.+\Z"):
        choose_protocol({"s": table([broken], [missing])}, LOADING)


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_choice_of_other_modes_and_of_reals_alone(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (21, 50)).save(path)
    assert choose_protocol({"s": table([str(path)], [])}, LOADING)[0].startswith("fit_21+")
