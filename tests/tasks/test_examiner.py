"""Photos in memory get the answers of task=predict, and hostile ones harm nobody."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genspot.augment.deliveries import DELIVERIES
from genspot.common.errors import GenspotError
from genspot.common.uploads import Question
from genspot.data import image_io
from genspot.evaluation.references import Reference, beside
from genspot.report.answers import make_document
from genspot.tasks import examiner as examiner_module
from genspot.tasks import photo_views
from genspot.tasks.examiner import BATCH, Examiner, UploadedPhoto
from genspot.tasks.photo_detector import PhotoDetector, load_photo_detectors
from genspot.tasks.photo_views import see_deliveries
from genspot.tasks.scoring_facts import scoring_facts
from helpers.image_bytes import damage, encode
from helpers.images import save_image
from helpers.odd_images import AS_PIL, DEEP_GREY, PHOTO, REFUSED
from helpers.references import make_reference
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed, run_task

PNG = encode(PHOTO)
VALID = {name: UploadedPhoto(*kind[:2]) for name, kind in (AS_PIL | DEEP_GREY).items()}


def settings(checkpoint: Path, *more: str) -> list[str]:
    return ["task=predict", f"checkpoint={checkpoint}", SEARCH_PATH, "workers=0", *more]


Make = Callable[..., Examiner]


@pytest.fixture
def make(trained: Path, tmp_path: Path) -> Iterator[Make]:
    """Makes examiners of the tiny detector, with a reference beside its checkpoint."""
    lock = image_io.large_photo_lock
    checkpoint = tmp_path / "detector" / "best.ckpt"
    checkpoint.parent.mkdir()
    shutil.copy(trained / "best.ckpt", checkpoint)

    def _make(*more: str, graded: bool = True) -> Examiner:
        with composed(*settings(checkpoint, *more), folder=tmp_path / "composed") as cfg:
            detectors = load_photo_detectors(cfg)
        if graded:
            save_reference(detectors[0])
        return Examiner(detectors)

    yield _make
    image_io.large_photo_lock = lock


def save_reference(detector: PhotoDetector) -> None:
    """Save a reference of PNG photos of 70 × 90 pixels beside the checkpoint of a detector."""
    facts = scoring_facts(detector.cfg, detector.checkpoint, detector.model)
    table = make_reference((150, {"width": 90, "height": 70, "flat_share": 0.0})).table
    Reference(table, facts).write(beside(detector.checkpoint.path))


def nearly(answer: Any) -> Any:
    """Return an answer whose numbers equal others that are rounded otherwise."""
    if isinstance(answer, dict):
        return {key: nearly(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return list(map(nearly, answer))
    return pytest.approx(answer, abs=1e-5) if isinstance(answer, float) else answer


def test_examine_photos_answers_as_predict_does(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    save_image(folder / "a.png", 1, fake=False, size=(70, 90))
    save_image(folder / "c.png", 2, fake=True, size=(20, 31))  # smaller than the crop
    for number, (name, content) in enumerate(VALID.values()):
        (folder / f"odd{number:02d}{Path(name).suffix or '.png'}").write_bytes(content)
    for number, (name, content, _) in enumerate(REFUSED.values()):
        suffix = Path(name).suffix if name.endswith(("png", "jpg", "tif", "webp")) else ".png"
        (folder / f"refused{number:02d}{suffix}").write_bytes(content)
    examiner = make()
    checkpoint = examiner.detectors[0].checkpoint.path
    run = run_task(
        *settings(checkpoint, f"inputs={folder}", "deliveries=true", "fpr=0.1"),
        folder=tmp_path / "run",
    )
    document = json.loads((run / "predictions.json").read_text())
    paths = [answer["photo"] for answer in document["photos"]]
    assert len(paths) == 2 + len(VALID) + len(REFUSED)
    photos = [UploadedPhoto(path, Path(path).read_bytes()) for path in paths]
    answers = json.loads(json.dumps(examiner.examine(photos, deliveries=True, fpr=0.1)))
    assert answers == nearly(document["photos"])
    assert make_document(answers)["about"] == document["about"]
    own = next(one for one in answers if one["photo"].endswith("/a.png"))["detectors"][0]
    assert own["grade"] != "cannot say" and own["decision"] in ("alarm", "no alarm")
    each = own["deliveries"]["each"]
    graded = [one for one in each if one["grade"] != "cannot say"]
    assert len(each) == 12 and own["deliveries"]["total"] == len(graded) > 0


def test_examine_one_photo_has_the_bits_of_predict(make: Make, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "a.png"
    save_image(photo, 1, fake=False, size=(70, 90))
    examiner = make()
    checkpoint = examiner.detectors[0].checkpoint.path
    run = run_task(*settings(checkpoint, f"inputs={photo}"), folder=tmp_path / "run")
    document = json.loads((run / "predictions.json").read_text())
    answers = examiner.examine([UploadedPhoto(str(photo), photo.read_bytes())])
    assert json.loads(json.dumps(answers)) == document["photos"]


@pytest.mark.parametrize("kind", REFUSED)
def test_examine_hostile_file_has_its_reason_and_harms_no_other(make: Make, kind: str) -> None:
    name, content, reason = REFUSED[kind]
    good = UploadedPhoto("good.png", PNG)
    examiner = make()
    alone = examiner.examine([good, good])
    before, answer, after = examiner.examine([good, UploadedPhoto(name, content), good])
    assert reason in answer["unreadable"] and "\n" not in answer["unreadable"]
    assert answer["photo"] == name and answer["detectors"] == []
    assert [before, after] == nearly(alone)


@pytest.mark.parametrize("seed", range(3))
def test_examine_damaged_files_never_raises(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    small = [photo for photo in VALID.values() if len(photo.content) < 10_000]
    photos = [
        UploadedPhoto(photo.name, damage(photo.content, rng)) for photo in rng.choices(small, k=40)
    ]
    answers = make().examine(photos)
    assert len(answers) == 40
    assert all(bool(one["detectors"]) != bool(one["unreadable"]) for one in answers)
    json.dumps(answers, allow_nan=False)


def test_examine_photos_of_one_name_answers_each(make: Make) -> None:
    bright = UploadedPhoto("a.png", encode(PHOTO.point(lambda value: value // 2 + 120)))
    dark, broken = UploadedPhoto("a.png", PNG), UploadedPhoto("a.png", b"x")
    examiner = make()
    singles = [examiner.examine([photo])[0] for photo in (bright, broken, dark)]
    assert examiner.examine([bright, broken, dark]) == nearly(singles)
    assert singles[0]["detectors"][0]["logit"] != singles[2]["detectors"][0]["logit"]


def test_examine_name_of_a_file_is_never_opened(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)
    answer = make().examine([UploadedPhoto(str(path), b"")])[0]
    assert answer["unreadable"] == "an empty file" and answer["claims"]["claims"] == []


def test_answer_questions_of_different_settings_in_one_batch(make: Make) -> None:
    examiner, photo = make(), UploadedPhoto("a.png", PNG)
    questions = [Question(photo), Question(photo, fpr=0.2), Question(photo, deliveries=True)]
    plain, decided, delivered = examiner.answer([examiner.read(one) for one in questions])
    assert plain["detectors"][0]["decision"] is None
    assert decided["detectors"][0]["decision"] == "cannot say"  # it is smaller than the crop
    assert decided["detectors"][0]["fpr"] == 0.2
    assert plain["detectors"][0]["deliveries"] is None
    assert len(delivered["detectors"][0]["deliveries"]["each"]) == 12


def test_read_by_several_threads_gives_what_one_thread_reads(make: Make) -> None:
    examiner = make()
    questions = [Question(photo) for photo in VALID.values()] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(examiner.read, questions))
    for one, question in zip(found, questions, strict=True):
        expected = examiner.read(question)
        assert (one.claims, one.traits) == (expected.claims, expected.traits)
        np.testing.assert_array_equal(one.views[0][0].image, expected.views[0][0].image)


def test_read_photo_keeps_no_more_pixels_than_its_detectors_see(make: Make) -> None:
    photo = UploadedPhoto("large.png", encode(Image.new("RGB", (600, 500))))
    views = make().read(Question(photo, deliveries=True)).views[0]
    assert len(views) == 1 + len(DELIVERIES)
    assert all(view.image is not None and view.image.base is None for view in views)


def test_read_large_photos_one_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_io, "LARGE_PIXELS", 10)
    examiner, inside, most = make(), [], []

    def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            inside.append(1)
            time.sleep(0.2)
            most.append(len(inside))
            inside.pop()
            return function(*arguments)

        return run

    monkeypatch.setattr(image_io, "to_rgb", slowly(image_io.to_rgb))
    monkeypatch.setattr(examiner_module, "see_deliveries", slowly(see_deliveries))
    questions = [Question(VALID["JPEG named JFIF"], deliveries=True)] * 2
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(examiner.read, questions))
    assert (max(most), len(most)) == (1, 4)


def test_examine_network_without_memory_for_one_photo_answers_the_others(make: Make) -> None:
    examiner = make(graded=False)
    detector = examiner.detectors[0]

    class Small:
        """Has memory for batches without a white pixel."""

        name, cfg = detector.name, detector.cfg

        def logits(self, images: np.ndarray) -> np.ndarray:
            if (images == 255).all(axis=(1, 2, 3)).any():
                raise RuntimeError("can't allocate memory: you tried to allocate 9 bytes")
            return np.array([np.nan if image.max() == 0 else 0.5 for image in images], np.float32)

    examiner.detectors = [Small()]  # type: ignore[list-item]
    colours = {"white": (255,) * 3, "grey": (9,) * 3, "black": (0,) * 3}
    photos = []
    for name, colour in colours.items():
        pixels = np.full((40, 40, 3), colour, np.uint8)
        photos.append(UploadedPhoto(name, encode(photo_views.image_io.Image.fromarray(pixels))))
    white, grey, black = examiner.examine(photos)
    assert "need more memory than there is" in white["unreadable"]
    assert grey["detectors"][0]["logit"] == 0.5
    assert black["unreadable"] == "logit nan"


def test_examine_whole_photos_of_different_sizes_scores_one_at_a_time(make: Make) -> None:
    examiner = make("crop=none", "max_whole_megapixels=1", graded=False)
    assert examiner.batch_size == 1
    sizes = (40, 40), (50, 30), (1200, 1000)
    photos = [UploadedPhoto("a.png", encode(PHOTO.resize(size))) for size in sizes]
    small, wide, large = examiner.examine(photos)
    assert small["detectors"][0]["crop"] is None and wide["unreadable"] is None
    assert "max_whole_megapixels=1" in large["unreadable"]


def test_examine_more_photos_than_a_batch_answers_all(make: Make) -> None:
    photos = [
        UploadedPhoto(f"{number}.png", encode(PHOTO.rotate(number * 3)))
        for number in range(2 * BATCH + 3)
    ]
    answers = make(graded=False).examine(photos)
    assert [one["photo"] for one in answers] == [photo.name for photo in photos]
    assert len({one["detectors"][0]["logit"] for one in answers}) > BATCH
    assert make(graded=False).examine([]) == []


def test_examine_with_two_detectors_answers_by_each(make: Make, trained: Path) -> None:
    examiner = make(graded=False)
    other = replace(examiner.detectors[0], name="other")
    answer, broken = Examiner([examiner.detectors[0], other]).examine(
        [UploadedPhoto("a.png", PNG), UploadedPhoto("b.png", b"x")], deliveries=True
    )
    first, second = answer["detectors"]
    assert (first["detector"], second["detector"]) == ("detector", "other")
    assert first["logit"] == second["logit"] and answer["agreement"]
    assert second["deliveries"]["each"] == first["deliveries"]["each"]
    assert broken["unreadable"] and broken["detectors"] == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"fpr": 0.0}, r"^fpr=0\.0: give a number above 0 and below 1$"),
        ({"fpr": float("nan")}, "^fpr=nan: give a number"),
        ({"prior": 1.0}, r"^prior=1\.0: give a number"),
        ({"fpr": 0.1}, "^fpr=0.1 needs a reference"),
        ({"fpr": 1e-9}, "^fpr=1e-09 needs a reference"),
        ({"prior": 0.1}, "calibration"),
    ],
)
def test_examine_with_settings_that_cannot_be_answered_is_refused(
    make: Make, asked: dict[str, float], message: str
) -> None:
    with pytest.raises(GenspotError, match=message):
        make(graded=False).examine([UploadedPhoto("a.png", PNG)], **asked)  # type: ignore[arg-type]


def test_calibration_that_is_named_and_missing_is_refused_at_the_start(make: Make) -> None:
    with pytest.raises(GenspotError, match="a prior needs Platt's scaling, and /none does not"):
        make("calibration=/none")
