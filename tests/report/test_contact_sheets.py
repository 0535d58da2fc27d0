from __future__ import annotations

import io

import numpy as np
from PIL import Image

from genspot.report.gallery import SIDE, contact_sheets, gallery_rows
from helpers.report_runs import COMPLETE


def test_contact_sheets_show_the_gallery_of_each_generator(single) -> None:
    (run,) = single.runs
    sheets = contact_sheets(run)
    assert list(sheets) == [*COMPLETE, "only_fakes"]
    with Image.open(io.BytesIO(sheets["only_fakes"])) as sheet:
        assert sheet.size == (7 * SIDE, SIDE)
    with Image.open(io.BytesIO(sheets["sim_nearest"])) as sheet:
        assert sheet.size == (7 * SIDE, 2 * SIDE)
        most_fake = next(row for row in gallery_rows(run) if row.kind == "fake").pictures[-1]
        shown = np.asarray(sheet.crop((6 * SIDE, SIDE, 7 * SIDE, 2 * SIDE)))
    with Image.open(io.BytesIO(most_fake.jpeg)) as image:
        assert (shown[: image.height, : image.width] == np.asarray(image)).all()
    assert (shown[image.height :] == 128).all()  # grey
