"""What task=download takes of which archive, and where it puts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.tasks.config import check_settings
from genspot.tasks.download_choice import Choice, Wanted, choose
from helpers.errors import error_of
from helpers.images import save_set
from helpers.settings import ROOT
from helpers.tasks import composed

SETS = {
    *(
        "progan",
        "stylegan",
        "biggan",
        "cyclegan",
        "stargan",
        "gaugan",
        "crn",
        "imle",
        "seeingdark",
    ),
    *("san", "deepfake", "stylegan2", "whichfaceisreal"),
}
Found = dict[str, tuple[str, set[str]]]


def chosen(folder: Path, *overrides: str) -> Choice:
    root = f"paths.root={folder}"
    with composed("task=download", root, *overrides, folder=ROOT) as cfg:
        check_settings(cfg)
        return choose(cfg)


def by_archive(folder: Path, *overrides: str) -> Found:
    """Return the place below `folder` and the folders of each archive."""
    found = {one.archive.name: one for one in chosen(folder, *overrides).wanted}
    return {
        name: (one.root.relative_to(folder).as_posix(), set(one.folders))
        for name, one in found.items()
    }


def test_training_set_takes_its_classes_and_the_test_sets_of_its_tests(tmp_path: Path) -> None:
    classes = {"chair", "horse"}
    assert by_archive(tmp_path, "data=progan_2cls") == {
        "progan_train": ("datasets/train", classes),
        "progan_val": ("datasets/val", classes),
        "cnn_synth_testset": ("datasets/test", SETS),
    }


def test_test_sets_are_taken_by_the_folders_of_their_files_without_training_images(
    tmp_path: Path,
) -> None:
    assert by_archive(tmp_path, "generator=[sitd,san]") == {
        "cnn_synth_testset": ("datasets/test", {"seeingdark", "san"})
    }


def test_empty_list_of_generators_leaves_the_test_sets_out(tmp_path: Path) -> None:
    found = by_archive(tmp_path, "data=progan_1cls", "generator=[]")
    assert set(found) == {"progan_train", "progan_val"}


def test_places_of_the_settings_are_where_the_images_go(tmp_path: Path) -> None:
    overrides = (
        "data=progan_1cls",
        "generator=[crn,sitd]",
        f"data.train={tmp_path}/fast/t",
        f"paths.val={tmp_path}/v",
        f"paths.test={tmp_path}/tests",
    )
    assert by_archive(tmp_path, *overrides) == {
        "progan_train": ("fast/t", {"airplane"}),
        "progan_val": ("v", {"airplane"}),
        "cnn_synth_testset": ("tests", {"crn", "seeingdark"}),
    }


def test_data_of_a_study_are_chosen_without_data_on_the_command_line(tmp_path: Path) -> None:
    found = by_archive(tmp_path, "experiments=num_classes", "generator=[san]")
    assert found["progan_train"][1] and found["cnn_synth_testset"][1] == {"san"}


def test_classes_drawn_by_the_seed_are_those_of_the_training(tmp_path: Path) -> None:
    overrides = ("data=progan_20cls", "data.num_classes=3", "generator=[]")
    first, second = (by_archive(tmp_path, *overrides, f"seed={seed}") for seed in (0, 1))
    assert len(first["progan_train"][1]) == len(second["progan_train"][1]) == 3
    assert first["progan_train"][1] == first["progan_val"][1] != second["progan_train"][1]


def test_packed_format_concerns_training_and_validation_alone(tmp_path: Path) -> None:
    for settings in (
        ("data=progan_1cls", "data.format=packed"),
        ("all=true", "data.format=packed"),
    ):
        wanted = chosen(tmp_path, *settings).wanted
        assert {one.archive.split: one.packed for one in wanted} == {
            "train": True,
            "val": True,
            "test": False,
        }


def test_all_takes_every_archive_in_full(tmp_path: Path) -> None:
    wanted = chosen(tmp_path, "all=true").wanted
    assert [(one.archive.name, one.folders, one.packed) for one in wanted] == [
        ("progan_train", (), False),
        ("progan_val", (), False),
        ("cnn_synth_testset", (), False),
    ]
    assert wanted[2] == Wanted(wanted[2].archive, tmp_path / "datasets/test")


def test_sets_of_other_releases_are_named_only_where_they_are_missing(tmp_path: Path) -> None:
    own = tmp_path / "datasets/test/aigcdetectbenchmark/test/ADM"
    setting = "generator=[san,aigc_adm,sim_nearest]"
    missing = chosen(tmp_path, setting).elsewhere
    assert missing == {"aigc_adm": "https://github.com/Ekko-zn/AIGCDetectBenchmark#dataset"}
    save_set(own, 1, 1)
    assert chosen(tmp_path, setting).elsewhere == {}


def test_own_set_with_the_name_of_a_published_one_is_not_fetched(tmp_path: Path) -> None:
    own = save_set(tmp_path / "mine", 1, 1)
    choice = chosen(tmp_path, "data=progan_1cls", f"test_sets={{san: {own}}}")
    assert [one.archive.split for one in choice.wanted] == ["train", "val"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "nothing that is published is chosen: give data=NAME"),
        (["generator=[]"], "nothing that is published is chosen"),
        (["data=simulated"], "data=simulated is not in the table of published files: it is built"),
        (
            ["data=folder", "data.train=a", "data.val=b", "generator=[]"],
            "data=folder is not in the table of published files: bring your own",
        ),
        (["generator=[aigc_adm]"], "no entry of download/ has aigc_adm (https://github.com/Ekko"),
        (["generator=[aigc_adm,aigc_glide]"], "has aigc_adm, aigc_glide (https://github.com/Ekko"),
        (["all=true", "data=progan_1cls"], "all=true takes every archive, whatever data says"),
        (["all=true", "generator=[san]"], "all=true takes every archive, whatever generator says"),
        (
            ["data=progan_1cls", "data.classes=[car,cats]"],
            "data=progan_1cls: ProGAN training images have no class cats; there are: airplane, ",
        ),
        (
            ["data=progan_1cls", "data.train={real: a, fake: b}"],
            "is no folder, which task=download writes to: give data.train=PATH",
        ),
        (
            ["generator=[san]", "generator.san.path=a/*.zip"],
            "generator.san.path=a/*.zip is no folder, which task=download writes to",
        ),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    tmp_path: Path, overrides: list[str], expected: str
) -> None:
    assert expected in error_of(chosen, tmp_path, *overrides)


@pytest.mark.parametrize(
    ("overrides", "splits"),
    [
        (("data=progan_1cls", "generator=[]", "data.val=${data.train}"), "train and val"),
        (("data=progan_1cls", "generator=[]", "paths.val=link"), "train and val"),
        (("data=progan_1cls", "paths.test=${paths.val}"), "val and test"),
        (("all=true", "paths.val=${paths.test}"), "val and test"),
    ],
)
def test_one_folder_for_two_splits_is_refused(
    tmp_path: Path, overrides: tuple[str, ...], splits: str
) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "datasets/train")
    given = [one.replace("=link", f"={tmp_path}/link") for one in overrides]
    message = error_of(chosen, tmp_path, *given)
    assert f" would hold the images of both {splits}: give each a folder of its own" in message
