from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.report.examples import DETAIL, Panel, make_panels
from genspot.report.runs import Run
from helpers.arrays import make_noise
from helpers.report_runs import COMPLETE, make_run


def decode(uri: str) -> np.ndarray:
    """Return the pixels of a data: URI."""
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image)


def fake_row(run: Run, generator: str) -> int:
    """Return the row of the fake with the median logit, the 15th of 30."""
    images = run.images[generator]
    logits = np.where(images.labels == 1, images.logits, np.inf)
    return int(np.argsort(logits, kind="stable")[14])


def panel_of(run: Run) -> Panel:
    (panel,) = make_panels(run)
    return panel


def test_panels_show_the_median_of_each_kind(single) -> None:
    (run,) = single.runs
    panels = {panel.generator: panel for panel in make_panels(run)}
    assert set(panels) == {*COMPLETE, "only_fakes"}
    for name, panel in panels.items():
        images = run.images[name]
        for example in panel.examples:
            own = np.sort(images.logits[images.labels == (example.kind == "fake")])
            assert example.logit == own[14]
            assert example.choice == "the median of 30"
            assert example.probability == pytest.approx(1 / (1 + np.exp(-example.logit)))
    assert [example.kind for example in panels["only_fakes"].examples] == ["fake"]
    assert panels["only_fakes"].grade is None
    assert panels["sim_nearest"].spectra.keys() == {"real", "fake"}
    assert panels["a<b&c"].spectra == {}


def test_panel_shows_the_real_image_of_the_same_name_if_it_shows_the_same_scene(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", generators=("mine",))
    images = run.images["mine"]
    fake = Path(images.paths[fake_row(run, "mine")])
    real = fake.parent.parent / "0_real" / fake.name
    assert not panel_of(run).same_scene  # the images of the helper are unrelated noise
    scene = make_noise(12, 20, 1)
    Image.fromarray(scene).save(real)
    Image.fromarray((scene // 2) + 30).save(fake)
    panel = panel_of(run)
    assert panel.same_scene
    assert [Path(example.path) for example in panel.examples] == [real, fake]
    assert panel.examples[0].choice == "of the same scene"
    assert panel.examples[0].logit == images.logits[images.paths.index(str(real))]
    Image.new("RGB", (20, 12)).save(real)  # no correlation is defined
    assert not panel_of(run).same_scene


def test_detail_is_the_centre_of_the_image_to_the_pixel(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("mine",))
    row = fake_row(run, "mine")
    image = make_noise(DETAIL + 36, DETAIL + 7, 0)
    Image.fromarray(image).save(run.images["mine"].paths[row])
    example = panel_of(run).examples[1]
    assert example.views.detail is not None and example.views.whole is not None
    assert (decode(example.views.detail) == image[18 : 18 + DETAIL, 3 : 3 + DETAIL]).all()
    assert example.views.frame == pytest.approx((6400 / 71, 64.0))
    real = panel_of(run).examples[0]  # of 20 × 12 pixels: all of it
    assert real.views.frame == (100, 100)
    assert real.views.detail is not None and decode(real.views.detail).shape == (12, 20, 3)


def test_panel_of_a_missing_file_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("mine",))
    Path(run.images["mine"].paths[fake_row(run, "mine")]).unlink()
    example = panel_of(run).examples[1]
    assert (example.views.whole, example.views.detail, example.views.note) == (
        None,
        None,
        "file not found",
    )
