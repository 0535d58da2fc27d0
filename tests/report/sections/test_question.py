from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from genspot.report.runs import Run
from genspot.report.sections.question import question
from helpers.report_runs import make_run

FILES = {
    "seen": {"kind": "GAN", "real": "LSUN", "upsampling": "nearest"},
    "unseen": {"kind": "GAN", "real": "LSUN", "upsampling": "bilinear"},
    "third": {"kind": "flow", "real": "CelebA", "upsampling": None, "name": "other"},
}


def make(folder: Path, *names: str, maker: str | None = None, **about: object) -> Run:
    """Return a run on generators of `FILES`, or of no file, trained on fakes by `maker`."""
    run = make_run(folder / "run", generators=names, **about)
    data = {} if maker is None else {"data": {"generator": maker}}
    return replace(run, config=yaml.safe_dump({"generator": FILES, **data}))


def text_of(run: Run) -> str:
    return " ".join(question(run))


def test_question_says_what_was_trained_and_which_generators_had_been_seen(tmp_path: Path) -> None:
    counts = {"real": 120, "fake": 80}
    text = text_of(make(tmp_path, "unseen", "seen", "other", maker="seen", training_images=counts))
    assert text.startswith("Can a detector find the fakes of generators that it has not seen")
    assert "the data set simulated (120 real and 80 fake images)" in text
    assert "whose fakes are made by seen (GAN; upsampling: nearest)" in text
    assert "fakes of 3 generators: one it had seen in training, seen, the other 2 not." in text
    assert "Real images come from: LSUN; CelebA. Fakes come from: GAN (2); flow." in text
    assert "degraded" not in text


def test_question_leaves_out_what_is_not_known(tmp_path: Path) -> None:
    text = text_of(make(tmp_path, "mine", "yours"))
    assert "trained on the data set simulated. It was tested on fakes of 2 generators; " in text
    assert "whether it had seen all of them in training is not recorded." in text
    assert "Which images are real and which are fake is as the test sets say." in text
    text = text_of(make(tmp_path, "mine", "seen", maker="seen"))  # nobody says what made mine
    assert "is not recorded" in text


def test_question_about_one_generator_names_it(tmp_path: Path) -> None:
    text = text_of(make(tmp_path, "unseen", maker="seen", degradations=["blur_1", "jpeg_50"]))
    assert text.startswith("How well does a detector find the fakes of unseen?")
    assert "fakes of one generator, which it had not seen in training." in text
    assert "All test images were degraded first: blur_1 then jpeg_50." in text
    assert "the one of its training." in text_of(make(tmp_path, "seen", maker="seen"))
    assert "none of which it had seen" in text_of(make(tmp_path, "unseen", "other", maker="seen"))


def test_question_about_real_images_alone_speaks_of_no_fakes_tested(tmp_path: Path) -> None:
    run = make(tmp_path, "mine")
    run.metrics["generators"]["mine"] |= {"fake": 0, "ap": None}
    text = text_of(run)
    assert text.startswith("How many real images does a detector take for fakes?")
    assert text.endswith("tested on real images alone.")


def test_question_names_the_sets_of_one_class(tmp_path: Path) -> None:
    text = text_of(make(tmp_path, "mine", "only_fakes", "only_reals"))
    assert "It was tested on fakes of 2 generators; whether" in text
    expected = "Of the test sets, only_fakes has fakes alone; only_reals has real images alone."
    assert expected in text
    text = text_of(make(tmp_path, "only_reals"))
    assert text.startswith("How many real images does a detector take for fakes?")
    assert "Of the test sets" not in text


def test_question_of_a_damaged_configuration_is_left_unspecific(tmp_path: Path) -> None:
    for config in ("[", "text", "generator: [seen]\ndata: 3\n"):
        run = replace(make(tmp_path, "seen"), config=config)
        assert "is not recorded" in text_of(run)
