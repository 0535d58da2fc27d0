"""test_sets: sets by name on the command line, and lists of several generators."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from genspot.report.run_reader import read_run
from genspot.runtime.changed_settings import changed_places, changed_settings, is_moved
from genspot.tasks import config as task_config
from genspot.tasks.config import check_settings, config_text
from genspot.tasks.generators import generator_specs
from genspot.tasks.test_sets import top_level_keys
from helpers.errors import error_of
from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed, run_task


def places(*overrides: str, folder: Path) -> dict[str, Any]:
    """Return the name of each test set → its place."""
    with composed(*overrides, folder=folder) as cfg:
        check_settings(cfg)
        check_settings(cfg)  # a second check changes nothing
        return {one.name: one.path for one in task_config.test_sets(cfg)}


def refusal(*overrides: str, folder: Path) -> str:
    return error_of(lambda: places(*overrides, folder=folder))


PATHS = "test_sets={ffhq: /a/ffhq, sd 1.5: './my set', coco: list.csv, x: {real: r, fake: 'f=1'}}"


def test_test_sets_replace_the_generators_of_a_data_set(tmp_path: Path) -> None:
    expected = {"ffhq": "/a/ffhq", "sd 1.5": "./my set", "coco": "list.csv"}
    assert places(PATHS, folder=tmp_path) == expected | {"x": {"real": "r", "fake": "f=1"}}
    assert places("test_sets={a: b}", "+test_sets.c=d", folder=tmp_path) == {"a": "b", "c": "d"}


def test_test_sets_stand_beside_chosen_generators_and_the_set_of_a_path(tmp_path: Path) -> None:
    chosen = places("test_sets={a: b}", "generator=[san]", "paths.test=/t", folder=tmp_path)
    assert chosen == {"san": "/t/san", "a": "b"}
    own = places("test_sets={a: b}", "data=folder", "test_set.path=c", folder=tmp_path)
    assert own == {"folder": "c", "a": "b"}
    assert places("test_sets={a: b}", "data=folder", folder=tmp_path) == {"a": "b"}


def test_test_sets_may_have_the_name_of_a_generator_that_is_not_chosen(tmp_path: Path) -> None:
    assert places("test_sets={sim_nearest: b, folder: c}", folder=tmp_path) == {
        "sim_nearest": "b",
        "folder": "c",
    }


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["test_sets={a: b, a: c}"], "test_sets has two sets a: give other names"),
        (
            ["test_sets={a: b, A: c}"],
            "test_sets.a and test_sets.A have one name, a and A; case does not count: give",
        ),
        (["test_sets={san: b}", "generator=[san]"], "test_sets.san: generator=san has this name"),
        (
            ["test_sets={a: b}", "+generator.a.train=c"],
            "generator.a.train: test_sets has the images",
        ),
        (
            ["test_sets={mean: b}"],
            "test_sets.mean: the row of the means has the name mean; give another key",
        ),
        (["test_sets={2024: b}"], "a key of test_sets, which is a name=2024: give a text"),
        (["test_sets={a/b: c}"], "a key of test_sets, which is a name=a/b: give a text"),
        (["test_sets={a: null}"], "test_sets.a=null: give a path as text, {real: PATH"),
        (["test_sets={a: [b]}"], "test_sets.a=['b']: give a path as text, {real: PATH"),
        (["test_sets={a: {rael: b}}"], "test_sets.a={'rael': 'b'}: give a path as text"),
        (
            ["test_sets=[a]"],
            "test_sets=['a']: give {NAME: PATH, …}, in a shell all in double quotes",
        ),
    ],
)
def test_test_sets_refuse_what_names_no_sets(
    overrides: list[str], expected: str, tmp_path: Path
) -> None:
    assert refusal(*overrides, folder=tmp_path).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: b, c: {d: e, f: g}, h:[i,{j: k}]}", ["a", "c", "h"]),
        ("{a: 'b, c: d', \"e\": f}", ["a", '"e"']),
        ("{a: 'it\\'s, x: y', b: ${c:d,e}}", ["a", "b"]),
        ("{a: http://b:80, a: c}", ["a", "a"]),
        ("{}", []),
        ("null", []),
        ("{a b: c", ["a b"]),
    ],
)
def test_top_level_keys_are_those_of_hydras_grammar(text: str, expected: list[str]) -> None:
    assert top_level_keys(text) == expected


def write_list(folder: Path, text: str) -> str:
    for name in "abcd":
        (folder / f"{name}.png").touch()
    (folder / "list.csv").write_text(f"path,label,generator\n{text}")
    return str(folder / "list.csv")


def test_list_with_generators_becomes_one_set_for_each(tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,\nb.png,fake,sd15\nc.png,fake,flux\n")
    overrides = [f"test_sets={{mix: '{file}', other: x}}"]
    expected = {name: {"path": file, "only": name} for name in ("sd15", "flux")}
    assert places(*overrides, folder=tmp_path) == expected | {"other": "x"}
    with composed(*overrides, folder=tmp_path) as cfg:
        check_settings(cfg)
        specs = generator_specs(cfg)
    assert list(specs) == ["mix.sd15", "mix.flux", "other"]
    assert [spec["real_set"] for spec in specs.values()] == ["mix", "mix", None]
    assert [spec["title"] for spec in specs.values()] == ["sd15", "flux", "other"]


def test_list_whose_reals_have_generators_shares_none(tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,x\nb.png,fake,x\nc.png,fake,y\n")
    with composed("generator=folder", f"test_set.path='{file}'", folder=tmp_path) as cfg:
        check_settings(cfg)
        specs = generator_specs(cfg)
    assert {key: spec["real_set"] for key, spec in specs.items()} == {
        "folder.x": None,
        "folder.y": None,
    }


def test_sets_with_real_images_of_one_place_share_them(tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,\nb.png,fake,x\nc.png,fake,y\n")
    sides = "a: {real: r, fake: f1}, b: {real: r, fake: f2}, c: {real: q, fake: f3}, d: r"
    tables = f"x: {{path: '{file}', only: x}}, y: {{path: '{file}', only: y}}"
    for overrides in ([], ["generator=[san]"]):
        with composed(f"test_sets={{{sides}, {tables}}}", *overrides, folder=tmp_path) as cfg:
            check_settings(cfg)
            check_settings(cfg)
            found = {key: spec["real_set"] for key, spec in generator_specs(cfg).items()}
        found.pop("san", None)
        assert found == {"a": "a", "b": "a", "c": None, "d": None, "x": "x", "y": "x"}


@pytest.mark.parametrize("place", ["{path: 'FILE', generator: null}", "{path: 'FILE', only: y}"])
def test_list_is_one_set_where_the_place_says_so(place: str, tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,\nb.png,fake,x\nc.png,fake,y\n")
    found = places(f"test_sets={{mix: {place.replace('FILE', file)}}}", folder=tmp_path)
    assert list(found) == ["mix"]


def test_list_with_a_generator_that_is_no_name_is_refused(tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,\nb.png,fake,../x\n")
    message = refusal(f"test_sets={{mix: '{file}'}}", folder=tmp_path)
    assert message.startswith("test_sets.mix: a generator in its table=../x: give a text with a")


def test_two_lists_with_one_generator_are_refused(tmp_path: Path) -> None:
    file = write_list(tmp_path, "a.png,real,\nb.png,fake,x\n")
    message = refusal(f"test_sets={{one: '{file}', two: '{file}'}}", folder=tmp_path)
    assert message.startswith("test_sets.one.x and test_sets.two.x have one name, x;")
    one = f"test_sets={{one: '{file}', two: {{path: '{file}', only: x}}}}"  # as the message says
    assert list(places(one, folder=tmp_path)) == ["x", "two"]


def config(folder: Path, *overrides: str) -> dict[str, Any]:
    with composed(*overrides, folder=folder) as cfg:
        check_settings(cfg)
        tree: Any = OmegaConf.to_container(OmegaConf.create(config_text(cfg)))
    return tree


def test_place_of_a_test_set_is_compared_by_content_and_not_as_a_setting(tmp_path: Path) -> None:
    old = config(tmp_path, "test_sets={a: {real: /x/r, fake: /x/f}, b: y}")
    new = config(tmp_path, "test_sets={a: {real: /z/r, fake: /x/f}, b: y}")
    assert changed_settings(old, new) == []
    (change,) = changed_places(old, new)
    assert change.setting == "generator.a.path"
    renamed = config(tmp_path, "test_sets={c: {real: /x/r, fake: /x/f}, b: y}")
    assert {one.setting for one in changed_settings(old, renamed)} >= {"generator.c.classes"}


def test_place_below_a_moved_folder_is_moved(tmp_path: Path) -> None:
    below = "test_sets={a: {real: '${paths.datasets}/r', fake: '${paths.datasets}/f'}}"
    old = config(tmp_path, below, "paths.datasets=/x")
    new = config(tmp_path, below, "paths.datasets=/z")
    changes = {change.setting: change for change in changed_places(old, new)}
    assert is_moved(changes["generator.a.path"], old, new)


def test_configuration_keeps_absolute_paths_of_training_places(tmp_path: Path) -> None:
    overrides = ["data=folder", "data.train={real: r, fake: /f}", "data.val={path: v, label: y}"]
    data = config(tmp_path, *overrides)["data"]
    here = Path.cwd()
    assert data["train"] == {"real": f"{here}/r", "fake": "/f"}
    assert data["val"] == {"path": f"{here}/v", "label": "y"}


def test_test_on_sets_from_anywhere_is_known_again_and_notices_other_images(
    trained: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = (sorted((sets / "test" / name).glob("0*.png")) for name in ("0_real", "1_fake"))
    rows = [f"{path},real," for path in real] + [
        f"{path},fake,gen{number % 2}" for number, path in enumerate(fake)
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,generator", *rows]))
    shutil.copytree(sets / "test" / "0_real", tmp_path / "photos")
    settings = ["task=test", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]

    def test(photos: str) -> dict[str, Any]:
        chosen = f"photos: {{real: '{tmp_path}/{photos}'}}, mix: '{tmp_path}/list.csv'"
        chosen = f"test_sets={{whole: '{sets}/test', {chosen}}}"
        folder = run_task(*settings, chosen, folder=tmp_path / "run")
        return read_run(folder).metrics["generators"]

    figures = test("photos")
    assert list(figures) == ["whole", "photos", "gen0", "gen1"]
    assert figures["whole"]["ap"] is not None and figures["photos"].get("ap") is None
    (tmp_path / "photos").rename(tmp_path / "moved")
    capsys.readouterr()
    assert test("moved") == figures
    (tmp_path / "moved" / real[0].name).unlink()
    (tmp_path / "moved").rename(tmp_path / "fewer")
    message = error_of(lambda: test("fewer"))
    assert "generator.photos.path={'real': '" in message and "images, now" in message


def test_predict_takes_several_inputs_of_any_form(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    photos = sorted((sets / "test" / "1_fake").glob("0*.png"))[:4]
    (tmp_path / "list.txt").write_text(f"{photos[0]}\n{photos[1]}\n{tmp_path}/gone.png\n")
    pattern = f"{photos[2].parent}/{photos[2].name[:-1]}?"
    inputs = f"inputs=['{tmp_path}/list.txt','{photos[1]}','{pattern}']"
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    folder = run_task(*settings, inputs, folder=tmp_path / "run")
    logits = {row["path"]: float(row["logit"]) for row in read_csv(folder / "predictions.csv")}
    assert logits.keys() == set(map(str, photos[:3]))
    expected = {path: logit for path, logit in read_logits(trained).items() if path in logits}
    assert logits == pytest.approx(expected, abs=1e-6)
    (unreadable,) = read_csv(folder / "unreadable.csv")
    assert unreadable == {"path": f"{tmp_path}/gone.png", "reason": "no such file"}
