"""Predictions of photos as services deliver them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genspot.augment.deliveries import DELIVERIES
from genspot.common.errors import GenspotError
from genspot.common.images import UnreadableError
from genspot.data import image_io
from genspot.tasks.deliveries import DeliveredPhotos, refuse_several_processes
from helpers.images import save_image
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos, of which the second is broken and the third is smaller than the crop."""
    folder = tmp_path / "photos"
    save_image(folder / "a.png", 1, fake=False, size=(70, 90))
    (folder / "b.png").write_bytes(b"no image")
    save_image(folder / "c.png", 2, fake=True, size=(20, 31))
    return folder


def predict(trained: Path, inputs: Path, *more: str) -> list[str]:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", f"inputs={inputs}"]
    return [*settings, SEARCH_PATH, "workers=0", "trainer=cpu", *more]


def logits_of(folder: Path, key: str = "path") -> dict[str, float]:
    return {Path(row[key]).stem: float(row["logit"]) for row in read_csv(folder)}


def test_predict_with_deliveries_scores_what_files_of_the_deliveries_score(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_task(*predict(trained, photos, "deliveries=true"), folder=tmp_path / "run")
    printed = capsys.readouterr().out
    rows = read_csv(folder / "deliveries.csv")
    own = logits_of(folder / "predictions.csv")
    assert len(own) == 2 and len(rows) == 24
    assert [Path(row["path"]).stem for row in rows[::12]] == list(own)  # highest logit first
    assert [row["delivery"] for row in rows[:12]] == [one.name for one in DELIVERIES]
    (tmp_path / "files").mkdir()
    for name in own:
        pixels = np.array(Image.open(photos / f"{name}.png").convert("RGB"))
        for delivery in DELIVERIES:
            file = tmp_path / "files" / f"{name} {delivery.name}.png"
            Image.fromarray(delivery(pixels)).save(file)
    expected = logits_of(
        run_task(*predict(trained, tmp_path / "files"), folder=tmp_path / "other")
        / "predictions.csv"
    )
    for row in rows:
        name = Path(row["path"]).stem
        logit = expected[f"{name} {row['delivery']}"]
        assert float(row["logit"]) == pytest.approx(logit, abs=1e-6)
        assert float(row["change"]) == pytest.approx(logit - own[name], abs=1e-6)
        assert row["reason"] == ""
    padded = {(Path(row["path"]).stem, row["delivery"]): row["padded"] for row in rows}
    assert (padded["c", "whatsapp"], padded["c", "screenshot"]) == ("true", "false")
    line = next(line for line in printed.splitlines() if line.startswith(f"{photos}/a.png\t"))
    assert line in printed and f"{folder}/deliveries.csv" in printed
    assert "of 12\t" in printed


def test_predict_without_deliveries_writes_no_table_of_them(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    folder = run_task(*predict(trained, photos), folder=tmp_path / "run")
    assert not (folder / "deliveries.csv").exists()


def test_predict_with_deliveries_that_was_stopped_goes_on_to_the_same_table(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = predict(trained, photos, "deliveries=true", "schedule.eval_batch_size=12")
    whole = run_task(*settings, folder=tmp_path / "whole")
    read, rows = DeliveredPhotos.__call__, list[int]()

    def stop_at_15(reader: DeliveredPhotos, row: int) -> np.ndarray:
        rows.append(row)
        if row == 15 and rows.count(15) == 1:
            raise KeyboardInterrupt
        return read(reader, row)

    monkeypatch.setattr(DeliveredPhotos, "__call__", stop_at_15)
    with pytest.raises(BaseException):  # noqa: B017 (as a signal ends it)
        run_task(*settings, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "deliveries.csv").exists()
    assert (tmp_path / "run" / "predictions.csv").exists()
    del rows[:]
    rows.append(15)
    run_task(*settings, folder=tmp_path / "run")
    assert rows[1:] == list(range(12, 24))
    for name in ("predictions.csv", "deliveries.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()
    assert not list((tmp_path / "run").glob("*.jsonl"))


def test_deliveries_in_a_task_that_makes_none_are_refused(trained: Path, tmp_path: Path) -> None:
    settings = ["task=verify", f"checkpoint={trained}/best.ckpt", "deliveries=true"]
    with pytest.raises(GenspotError, match=r"deliveries.+task=predict"):
        run_task(*settings, SEARCH_PATH, folder=tmp_path / "run")


def test_delivered_photos_decode_a_photo_once_for_its_deliveries(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = pa.chunked_array([[str(photos / "a.png"), str(photos / "c.png")]], pa.large_string())
    read, decoded = image_io.read, list[str]()

    def count(path: str, max_megapixels: int) -> np.ndarray:
        decoded.append(Path(path).stem)
        return read(path, max_megapixels)

    monkeypatch.setattr(image_io, "read", count)
    reader = DeliveredPhotos(paths, 10)
    for row in range(24):
        pixels = np.array(Image.open(paths[row // 12].as_py()).convert("RGB"))
        np.testing.assert_array_equal(reader(row), DELIVERIES[row % 12](pixels))
    assert decoded == ["a", "c"]


def test_delivered_photos_of_a_photo_that_a_delivery_refuses_raise_with_its_name(
    tmp_path: Path,
) -> None:
    Image.new("RGB", (70_000, 1)).save(tmp_path / "thin.png")
    reader = DeliveredPhotos(pa.chunked_array([[str(tmp_path / "thin.png")]]), 10)
    number = [one.name for one in DELIVERIES].index("mastodon")
    with pytest.raises(UnreadableError, match=r"as mastodon: 70000 × 1 pixels"):
        reader(number)


def test_deliveries_of_photos_that_several_processes_share_are_refused() -> None:
    refuse_several_processes(SimpleNamespace(processes=1))
    with pytest.raises(GenspotError, match=r"one process scores the deliveries, and 2 share.+\Z"):
        refuse_several_processes(SimpleNamespace(processes=2))
