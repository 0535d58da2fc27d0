"""How images are resized and cropped: the checks of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"crop": 0}, "model.train.crop=0: give a whole number from 1 on"),
        ({"crop": "big"}, "model.train.crop=big: "),
        ({"crop": True}, "model.train.crop=True: "),
        ({"crop": 224.0}, "model.train.crop=224.0: "),
        ({"crop": 10_001}, "model.train.crop=10001: give a whole number from 1 on, at most 10000"),
        ({"resize": -1}, "model.train.resize=-1: "),
        ({"resize": [256]}, "model.train.resize=[256]: give [height,width] or one number"),
        ({"resize": [1, 2, 3]}, "model.train.resize=[1, 2, 3]: "),
        ({"resize": (256, "x")}, "model.train.resize=x: "),
        ({"crop": 0, "setting": "model.test"}, "model.test.crop=0: "),
        ({"position": "left"}, "model.train.position=left: choose random or centre"),
        ({"position": ["random"]}, "model.train.position=['random']: choose"),
    ],
)
def test_geometry_out_of_range_names_the_setting(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(GenspotError) as error:
        Geometry(**arguments)
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    ("resize", "crop", "fixed"),
    [(None, None, False), (256, None, False), ([64, 48], None, True), (256, 224, True)],
)
def test_geometry_has_a_fixed_size_with_a_crop_or_a_pair(
    resize: Any, crop: int | None, fixed: bool
) -> None:
    geometry = Geometry(resize, crop)
    assert geometry.fixed_size is fixed
    assert geometry.as_dict() == {"resize": resize, "crop": crop}
    assert Geometry(**geometry.as_dict()) == geometry


def test_geometry_states_its_position_where_it_is_not_random() -> None:
    geometry = Geometry(256, 224, "centre")
    assert geometry.as_dict() == {"resize": 256, "crop": 224, "position": "centre"}
    assert Geometry(**geometry.as_dict()) == geometry
    assert geometry.with_crop(64).position == "centre"
    assert Geometry(256, 224, "random").as_dict() == {"resize": 256, "crop": 224}


def test_geometry_with_another_crop_keeps_the_resize() -> None:
    geometry = Geometry(256, 224)
    assert geometry.with_crop(None) == geometry
    assert geometry.with_crop("none") == Geometry(256, None)
    assert geometry.with_crop(64) == Geometry(256, 64)
    for crop in (0, -1, True, 10_001, "None", 0.5):
        with pytest.raises(GenspotError, match=f"^crop={crop}: give a number of pixels"):
            geometry.with_crop(crop)
