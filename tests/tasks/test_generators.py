"""Files of conf/generator/, the user's own too, are checked before an image is read."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from genspot.tasks import config
from genspot.tasks.generators import generator_specs
from genspot.tasks.schema import GENERATOR
from helpers.errors import error_of
from helpers.settings import ROOT
from helpers.tasks import composed, run_task


def specs(**files: Any) -> dict[str, dict[str, Any]]:
    return generator_specs(OmegaConf.create({"generator": files}))


def refusal(**files: Any) -> str:
    return error_of(lambda: specs(**files))


def test_generator_specs_fill_in_what_a_file_leaves_out() -> None:
    (spec,) = specs(mine={"path": "here"}).values()
    assert spec.keys() == GENERATOR.keys()
    assert (spec["name"], spec["title"], spec["classes"]) == ("mine", "mine", "any")
    assert (spec["images"], spec["licence"], spec["simulator"]) == (None, None, None)
    (named,) = specs(mine={"path": "here", "name": "other", "licence": None}).values()
    assert (named["name"], named["title"], named["licence"]) == ("other", "other", None)


def test_generator_specs_keep_what_a_file_says() -> None:
    paths = (ROOT / "conf" / "generator").glob("*.yaml")
    files = [path.stem for path in paths if "defaults" not in OmegaConf.load(path)]
    chosen = f"generator=[{','.join(files)}]"
    with composed(chosen, "test_set.path=here", folder=ROOT) as cfg:
        found = generator_specs(cfg)
        written: Any = OmegaConf.to_container(cfg.generator, resolve=True)
    assert len(written) == len(files)
    for name, values in written.items():
        assert values == {key: found[name][key] for key in values}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "generator.mine needs generator.mine.path"),
        (None, "generator.mine needs generator.mine.path"),
        ("here", "generator.mine needs generator.mine.path"),
        ({"path": 3}, "generator.mine.path=3: give a path"),
        ({"path": "here", "folder": "x"}, "no setting generator.mine.folder; there are: path"),
        ({"path": "here", "clases": "any"}, "no setting generator.mine.clases"),
        ({"path": "here", 3: 4}, "no setting generator.mine.3"),
        ({"path": "here", "title": 2024}, "generator.mine.title=2024: give a text"),
        ({"path": "here", "title": "a\nb"}, "generator.mine.title='a\\nb': give a text"),
        ({"path": "here", "kind": ["GAN"]}, "generator.mine.kind=['GAN']: give a text"),
        ({"path": "here", "classes": "cat"}, "generator.mine.classes=cat: give a list"),
        ({"path": "here", "classes": [1]}, "generator.mine.classes=[1]: give a list"),
        ({"path": "here", "classes": ["a", "a"]}, "each once"),
        ({"path": "here", "classes": ["../x"]}, "generator.mine.classes=['../x']"),
        ({"path": "here", "images": -1}, "generator.mine.images=-1: give a whole number"),
        ({"path": "here", "images": "many"}, "generator.mine.images=many"),
        ({"path": "here", "images": True}, "generator.mine.images=true"),
        ({"path": "here", "images": 3.0}, "generator.mine.images=3.0"),
        ({"path": "here", "year": "2019"}, "generator.mine.year=2019: give a whole number"),
        (
            {"path": "here", "published": {"none": {"ap": 90}}},
            "generator.mine.published: published figures have files of their own, one a "
            "publication: move them to baseline/NAME.yaml beside generator/",
        ),
        ({"path": "here", "real_set": 3}, "generator.mine.real_set=3: give a text"),
        ({"path": "here", "clusters": "photo"}, "generator.mine.clusters=photo: give class, or"),
        (
            {"path": "here", "clusters": "class", "classes": None},
            "needs class folders, one for each photograph: give generator.mine.classes=any",
        ),
        ({"path": "here", "simulator": {"stages": 2}}, "give {upsampling: nearest or bilinear"),
        (
            {"path": "here", "simulator": {"network": "foo"}},
            "or {network: realesrgan or waifu2x or realcugan}, or null",
        ),
        (
            {"path": "here", "simulator": {"upsampling": "foo", "stages": 2}},
            "'upsampling': 'foo'",
        ),
        ({"path": "here", "name": "../../x"}, "generator.mine.name=../../x: give a text with a"),
        (
            {"path": "here", "name": "mean"},
            "generator.mine: the row of the means has the name mean; give +gen",
        ),
        (
            {"path": "here", "name": "Mean"},
            "generator.mine: the row of the means has the name Mean; give +gen",
        ),
    ],
)
def test_generator_specs_refuse_what_the_schema_does_not_have(values: Any, expected: str) -> None:
    assert expected in refusal(mine=values)


def test_generator_specs_refuse_one_real_set_with_and_without_clusters() -> None:
    drawn = {"path": "a", "real_set": "s", "clusters": "class"}
    assert specs(first=drawn, second=drawn)["first"]["clusters"] == "class"
    assert len(specs(first=drawn, second=drawn | {"real_set": "t", "clusters": None})) == 2
    message = refusal(first=drawn, second=drawn | {"clusters": None})
    expected = (
        "generator.first and generator.second share the real images of s: give both clusters"
    )
    assert message.startswith(expected)


@pytest.mark.parametrize("key", ["a/b", "..", "mean", "2024"])
def test_generator_specs_refuse_a_key_that_is_no_name(key: str) -> None:
    assert key in refusal(**{key: {"path": "here"}})


def test_generator_specs_of_a_file_without_a_name_say_how_it_begins() -> None:
    expected = "generator.path=/sets/a: a file of generator/ gives its set a name: NAME: {path: "
    assert refusal(path="/sets/a").startswith(expected)
    assert specs(path={"path": "a"})["path"]["name"] == "path"


@pytest.mark.parametrize("other", ["san", "San", "SAN"])
def test_generator_specs_refuse_two_sets_of_one_name(other: str) -> None:
    message = refusal(san={"path": "a"}, folder={"path": "b", "name": other})
    assert message.startswith("generator.san and generator.folder have one name, san")
    assert "test_set.name=NAME" in message


def test_generator_specs_take_two_composed_forms_of_a_letter_for_one_name() -> None:
    files = {"a": {"path": "a", "name": "\u00e9t"}, "b": {"path": "b", "name": "e\u0301t"}}
    assert "have one name" in refusal(**files)


@given(st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=6), st.just("p")))
def test_generator_specs_have_one_name_per_set(paths: dict[str, str]) -> None:
    files = {key: {"path": path} for key, path in paths.items()}
    folded = {key.lower() for key in files}
    if len(folded) == len(files) and "mean" not in folded:
        assert {spec["name"] for spec in specs(**files).values()} == set(files)
    else:
        assert refusal(**files)


@pytest.mark.parametrize("chosen", ["[san,san]", "[one,two]", "[san,empty]", "[empty]", "empty"])
def test_generator_specs_refuse_files_that_define_no_set_of_their_own(
    chosen: str, tmp_path: Path
) -> None:
    (tmp_path / "generator").mkdir()
    for name in ("one", "two"):
        (tmp_path / "generator" / f"{name}.yaml").write_text("copied: {path: here}")
    (tmp_path / "generator" / "empty.yaml").touch()
    settings = [f"generator={chosen}", f"hydra.searchpath=['file://{tmp_path}']"]
    with composed(*settings, folder=tmp_path) as cfg:
        assert "a file is empty, or two define one set" in error_of(generator_specs, cfg)


@pytest.mark.parametrize("path", ["null", "PATH/gone"])
def test_test_names_the_path_of_a_set_of_ones_own(
    path: str, published_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "generator").mkdir()
    file = tmp_path / "generator" / "own.yaml"
    file.write_text(f"own: {{path: {path.replace('PATH', str(tmp_path))}}}")
    settings = ["task=test", f"checkpoint={published_checkpoint}", "generator=[own]"]
    settings.append(f"hydra.searchpath=['file://{tmp_path}']")
    message = error_of(lambda: run_task(*settings, folder=tmp_path / "run"))
    expected = "generator=own needs generator.own.path=PATH"
    assert (expected if path == "null" else f"no folder {tmp_path}/gone. Give the") in message
    assert "Download" not in message and "test_set" not in message


def test_run_refuses_a_name_that_is_a_path_and_writes_nothing(
    published_checkpoint: Path, sets: Path, tmp_path: Path
) -> None:
    settings = ["task=test", f"checkpoint={published_checkpoint}", "generator=folder"]
    settings += [f"test_set.path={sets}/test", "test_set.name='../../outside'"]
    error_of(lambda: run_task(*settings, folder=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_group_of_the_users_own_lists_sets_and_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "mine.yaml").write_text("mine: {path: here}")
    (tmp_path / "generator" / "ours.yaml").write_text("defaults: [mine, gangen, san]")
    with composed(
        f"hydra.searchpath=[{tmp_path}]", "generator=[ours,sitd,san]", folder=ROOT
    ) as cfg:
        found = generator_specs(cfg)
    assert list(found)[:2] == ["mine", "gangen_attgan"] and list(found)[-2:] == ["san", "sitd"]
    assert len(found) == 12


def test_unconfirmed_names_keys_of_a_generators_file() -> None:
    assert specs(mine={"path": "here", "unconfirmed": ["year"]})["mine"]["unconfirmed"] == ["year"]
    for wrong in ("year", ["years"], [["year"]], [1]):
        message = refusal(mine={"path": "here", "unconfirmed": wrong})
        assert "generator.mine.unconfirmed=" in message and "[images]" in message


def test_halves_of_a_released_set_are_nobodys_own() -> None:
    chosen = "generator=[univfd_guided,gangen_began]"
    with composed(chosen, "paths.test=/sets", folder=ROOT) as cfg:
        guided, began = config.test_sets(cfg)
    assert (guided.own, began.own) == (False, False)
    assert guided.download == "https://github.com/WisconsinAIVision/UniversalFakeDetect#data"
    with composed(chosen, "generator.univfd_guided.path.real=/x", folder=ROOT) as cfg:
        assert config.test_sets(cfg)[0].own
