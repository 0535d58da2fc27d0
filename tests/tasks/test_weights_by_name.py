"""Weights by name: found, fetched, verified, and known by their entry."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

import genspot
from genspot.common.errors import GenspotError
from genspot.detector.backbones.ferretnet import FerretNet
from genspot.detector.backbones.resnet import resnet
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.metadata import PUBLISHED
from genspot.detector.network import build_network
from genspot.detector.published_files import PUBLISHED_FILES
from genspot.download.client import Client
from genspot.download.table import FileEntry, Weights
from genspot.tasks import weights_by_name
from genspot.tasks.config import config_text, model_settings
from genspot.tasks.downloads import read_downloads
from genspot.tasks.fine_tuning import make_initial_network
from genspot.tasks.training_parts import make_loss
from genspot.tasks.weights_by_name import load_named_checkpoint, local_file
from helpers.detectors import make_metadata, make_model, save_checkpoint
from helpers.download_servers import Servers, published_files
from helpers.errors import error_of
from helpers.images import save_set
from helpers.published_weights import FILE, NAME, PATIENCE, ferretnet_s, saved, write_entry
from helpers.runs import read_logits, read_metrics
from helpers.settings import tiny
from helpers.tasks import composed, run_task

DATA = ferretnet_s()
DIGEST = hashlib.sha256(DATA).hexdigest()
MINE = f"published/{NAME}"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait is long, and nobody's own downloads are read."""
    monkeypatch.setattr(weights_by_name, "Client", functools.partial(Client, PATIENCE))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def servers() -> Iterator[Servers]:
    with published_files({FILE: DATA}) as running:
        yield running


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> list[str]:
    """Settings of a run that knows published/mine."""
    write_entry(tmp_path / "conf", servers.url(FILE), DATA)
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    return [search, f"paths.weights={tmp_path}/cache", "workers=0", "trainer=cpu"]


def table_of(monkeypatch: pytest.MonkeyPatch, *entries: Weights) -> None:
    """Make `entries` the whole table."""
    table = {entry.name: entry for entry in entries}
    monkeypatch.setattr(weights_by_name, "read_downloads", lambda: table)


def initial_weights(name: str, file: FileEntry, model: str) -> Weights:
    return Weights(name, name, (file,), "some licence", "https://example.org", model)


def test_test_of_a_name_equals_that_of_the_file(
    settings: list[str], servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "somewhere.pth"
    path.write_bytes(DATA)
    save_set(tmp_path / "test" / "san", 4, 4)
    settings += ["task=test", f"paths.test={tmp_path}/test", "generator=san"]
    named = run_task(*settings, f"checkpoint={MINE}", folder=tmp_path / "named")
    assert (tmp_path / "cache" / FILE).read_bytes() == DATA
    licences = [line for line in caplog.messages if "the licence of mine" in line]
    assert len(licences) == 1
    served = servers.served()
    again = run_task(*settings, f"checkpoint={MINE}", folder=tmp_path / "again")
    assert servers.served() == served == len(DATA)
    assert [line for line in caplog.messages if "the licence of mine" in line] == licences
    by_path = run_task(*settings, f"checkpoint={path}", folder=tmp_path / "by_path")
    assert read_logits(named) == read_logits(again) == read_logits(by_path)
    assert read_metrics(named)["trained_on"]["aug"] == "none"
    assert read_metrics(by_path)["trained_on"]["aug"] is None
    assert f"checkpoint: {MINE}" in (named / "config.yaml").read_text()


def test_published_figures_stand_beside_a_name_without_aug(
    servers: Servers, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    data = saved(FerretNet(width=96, depth=2).state_dict())  # of which figures are published
    servers.files["b.pth"] = data
    entry = {"name": "b", "file": "b.pth", "model": "ferretnet_b"}
    write_entry(tmp_path / "conf", servers.url("b.pth"), data, **entry)
    save_set(tmp_path / "test" / "biggan", 3, 3)
    settings = [f"hydra.searchpath=[file://{tmp_path}/conf]", f"paths.weights={tmp_path}/cache"]
    settings += ["task=test", f"paths.test={tmp_path}/test", "generator=biggan", "workers=0"]
    run = run_task(*settings, "checkpoint=published/b", "trainer=cpu", folder=tmp_path / "run")
    (beside,) = read_metrics(run)["generators"]["biggan"]["baselines"]
    assert (beside["row"], beside["ap"]) == ("FerretNet-B", 0.985)


def test_file_placed_by_hand_counts_if_its_hash_is_right(
    settings: list[str], servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    path = tmp_path / "cache" / FILE
    path.write_bytes(DATA)
    with composed(*settings, folder=tmp_path / "run") as cfg:
        checkpoint = load_named_checkpoint(MINE, cfg.paths.weights)
        assert checkpoint.path == path
        assert checkpoint.metadata.aug == "none"
        path.write_bytes(DATA[::-1])
        message = error_of(load_named_checkpoint, MINE, cfg.paths.weights)
    found = hashlib.sha256(DATA[::-1]).hexdigest()
    assert f"{path} has the SHA-256 {found}, expected is {DIGEST}" in message
    assert not servers.requests


def test_name_without_a_server_says_what_to_do_by_hand(
    settings: list[str], servers: Servers, tmp_path: Path
) -> None:
    with composed(*settings, folder=tmp_path / "run") as cfg, servers.outage():
        message = error_of(load_named_checkpoint, MINE, cfg.paths.weights)
    assert message.startswith(servers.url(FILE))
    assert message.endswith(
        f"; by hand: save {servers.url(FILE)} as {tmp_path}/cache/{FILE} ({len(DATA):,} bytes, "
        f"SHA-256 {DIGEST})"
    )
    assert {file.name for file in (tmp_path / "cache").iterdir()} == {f"{FILE}.lock"}


@pytest.mark.parametrize("name", ["published/no", "published/", "published/progan_val"])
def test_unknown_name_names_those_that_there_are(name: str, tmp_path: Path) -> None:
    message = error_of(load_named_checkpoint, name, tmp_path, "model.weights")
    assert message.startswith(f"model.weights={name}: no such weights; there are published/blur_")
    assert "published/ferretnet_s" in message and "progan_train" not in message


def test_path_that_looks_like_a_name_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("published").mkdir()
    Path("published/no").write_bytes(DATA)
    assert local_file("published/no", tmp_path, "checkpoint") == Path("published/no")
    assert load_named_checkpoint("published/no", tmp_path).metadata.model.name == "ferretnet_s"


def test_initial_weights_are_no_checkpoint(tmp_path: Path) -> None:
    message = error_of(load_named_checkpoint, "published/imagenet_resnet50", tmp_path)
    assert "is no detector" in message and "model.weights=published/imagenet_resnet50" in message


def test_hub_name_is_that_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, names = tmp_path / "model.pth", []
    path.write_bytes(DATA)
    monkeypatch.setattr(
        weights_by_name, "hub_file", lambda *arguments: names.append(arguments) or path
    )
    checkpoint = load_named_checkpoint("hub/me/mine@v1", tmp_path, "schedule.teacher")
    assert checkpoint.path == path
    assert names == [("hub/me/mine@v1", "schedule.teacher")]


def test_load_detector_takes_a_name(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    entry = Weights(
        NAME,
        "mine",
        (servers.entry(FILE),),
        "some licence",
        "https://example.org",
        "ferretnet_s",
        "progan_4cls",
        "none",
    )
    table_of(monkeypatch, entry)
    save_set(tmp_path / "set", 2, 2)
    images = sorted((tmp_path / "set").rglob("*.png"))
    named = genspot.load_detector(MINE)
    assert named.metadata.aug == "none"
    path = tmp_path / ".cache" / "genspot" / "weights" / FILE
    assert named.predict(images).logits.tolist() == (
        genspot.load_detector(path).predict(images).logits.tolist()
    )


def test_training_starts_from_a_name_and_is_complete_afterwards(
    settings: list[str], servers: Servers, sets: Path, tmp_path: Path
) -> None:
    small = ["model=ferretnet_s", "model.train.crop=32", "model.test.crop=32", *settings[1:]]
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    others = [one for one in tiny(sets) if not one.startswith(("model", "hydra"))]
    small = [*others, search, *small, "schedule.max_epochs=1", "schedule.optimizer.lr=1e-12"]
    run = run_task(*small, f"model.weights={MINE}", folder=tmp_path / "run")
    (tmp_path / "expected.pth").write_bytes(DATA)
    expected = load_checkpoint(tmp_path / "expected.pth").state
    found = load_checkpoint(run / "best.ckpt").state
    for key, value in found.items():
        if key.endswith("weight"):
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-9)
    assert f"  weights: {MINE}\n" in (run / "config.yaml").read_text()
    served = servers.served()
    best = (run / "best.ckpt").stat().st_mtime_ns
    run_task(*small, f"model.weights={MINE}", folder=run)
    assert (run / "best.ckpt").stat().st_mtime_ns == best
    assert servers.served() == served == len(DATA)


def test_teacher_may_be_a_name(settings: list[str], tmp_path: Path) -> None:
    teacher = [f"schedule.teacher={MINE}", *settings]
    with composed(*teacher, folder=tmp_path / "run") as cfg:
        assert f"teacher: {MINE}" in config_text(cfg)
        message = error_of(make_loss, cfg)
    assert "does not score patches" in message  # FerretNet, which was fetched
    assert (tmp_path / "cache" / FILE).read_bytes() == DATA


@pytest.mark.parametrize("model", ["resnet18", "resnet50_antialiased"])
def test_imagenet_weights_are_those_of_the_file(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = "resnet18" if model == "resnet18" else "resnet50"
    torch.manual_seed(1)
    state = torchvision.models.get_model(network).state_dict()
    data = saved(state)
    with published_files({"net.pth": data}) as servers:
        file = servers.entry("net.pth", url=servers.dropbox_url("net.pth"))
        table_of(monkeypatch, initial_weights(f"imagenet_{network}", file, network))
        overrides = [f"model={model}", f"paths.weights={tmp_path}/cache"]
        with composed(*overrides, folder=tmp_path / "run") as cfg:
            torch.manual_seed(2)
            found, _ = make_initial_network(cfg, model_settings(cfg))
            assert "weights: imagenet" in config_text(cfg)
    torch.manual_seed(2)
    (tmp_path / "net.pth").write_bytes(data)
    expected = resnet(network, str(tmp_path / "net.pth"))
    for key, value in expected.state_dict().items():  # the head is drawn from the same state
        assert torch.equal(found.backbone.state_dict()[key], value), key
        assert key.startswith("fc.") or torch.equal(value, state[key])


def test_imagenet_weights_that_torchvision_has_fetched_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with published_files({FILE: DATA}) as servers:
        entry = initial_weights("imagenet_resnet18", servers.entry(FILE), "resnet18")
        path = tmp_path / "torch" / "hub" / "checkpoints" / FILE
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA)
        cache = tmp_path / "cache"
        assert weights_by_name.fetch_weights(entry, cache, quiet=True) == path
        assert not servers.requests
        path.write_bytes(DATA[:-5])  # interrupted
        assert weights_by_name.fetch_weights(entry, cache, quiet=True) == cache / FILE
    assert f"not used: {path} has" in caplog.text


def test_imagenet_weights_without_a_server_say_the_settings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with published_files({FILE: DATA}) as servers, servers.outage():
        entry = initial_weights("imagenet_resnet18", servers.entry(FILE), "resnet18")
        table_of(monkeypatch, entry)
        overrides = ["model=resnet18", f"paths.weights={tmp_path}/cache"]
        with composed(*overrides, folder=tmp_path / "run") as cfg:
            message = error_of(make_initial_network, cfg, model_settings(cfg))
    assert f"{tmp_path}/cache/{FILE}" in message
    assert message.endswith("model.backbone.weights=null trains from scratch")


def test_entries_of_imagenet_are_the_files_of_torchvision() -> None:
    table = read_downloads()
    entries = [one for name, one in table.items() if name.startswith("imagenet_")]
    assert len(entries) >= 3
    for entry in entries:
        assert isinstance(entry, Weights) and entry.name == f"imagenet_{entry.model}"
        weights = torchvision.models.get_model_weights(entry.model)["IMAGENET1K_V1"]
        (file,) = entry.files
        assert file.url == weights.url
        assert str(file.sha256).startswith(file.name.rpartition("-")[2].removesuffix(".pth"))
        assert file.size / 2**20 == pytest.approx(weights.meta["_file_size"], abs=0.0006)


def test_models_of_the_published_detectors_are_those_that_their_files_tell() -> None:
    forms = {one.metadata.model.name: one.metadata for one in PUBLISHED_FILES}
    assert forms["resnet50"] == PUBLISHED
    entries = [one for one in read_downloads().values() if isinstance(one, Weights) and one.data]
    assert {one.model for one in entries} == {"resnet50", "ferretnet_s"}
    for entry in entries:
        assert weights_by_name._model(entry.model) == forms[entry.model].model
        assert entry.data == forms[entry.model].data


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "nothing"}, "there is no model/nothing.yaml"),
        ({"data": "nothing"}, "there is no data/nothing.yaml"),
        ({"aug": "nothing"}, "there is no aug/nothing.yaml"),
        ({"logits": [{"image": "../a.png", "crop": 4, "logit": 1}]}, "path of an image below"),
        ({"logits": [{"image": "/a.png", "crop": 4, "logit": 1}]}, "path of an image below"),
    ],
)
def test_entry_of_something_that_is_not_there_is_refused(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    write_entry(tmp_path, "https://example.org/a", DATA, **changes)
    overrides = [f"hydra.searchpath=[file://{tmp_path}]"]
    with composed(*overrides, folder=tmp_path / "run"), pytest.raises(GenspotError) as error:
        read_downloads()
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"data": "progan_2cls"}, "data=progan_2cls, but"),
        ({"aug": "blur_jpg_0.1"}, "aug=blur_jpg_0.1, but"),
        ({"model": "resnet18"}, "model=resnet18, but"),
    ],
)
def test_entry_that_contradicts_a_checkpoint_of_genspot_is_refused(
    changes: dict[str, str], expected: str | None, tmp_path: Path
) -> None:
    model = make_model(name="resnet50")
    metadata = make_metadata(model, data="progan_4cls")
    path = save_checkpoint(tmp_path / FILE, metadata, build_network(model).state_dict())
    about = {"model": "resnet50", "data": "progan_4cls", "aug": "none", **changes}
    write_entry(tmp_path / "conf", "https://example.org/a", path.read_bytes(), **about)
    overrides = [f"hydra.searchpath=[file://{tmp_path}/conf]"]
    with composed(*overrides, folder=tmp_path / "run"):
        if expected is None:
            assert load_named_checkpoint(MINE, tmp_path).metadata == metadata
        else:
            message = error_of(load_named_checkpoint, MINE, tmp_path)
            assert f"download/{NAME}.yaml: {expected}" in message


def test_file_of_a_form_that_nobody_knows_is_tested_as_its_entry_says(
    servers: Servers, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    data = saved(resnet("resnet18").state_dict())  # known as a ResNet-50 by its names
    servers.files["r.pth"] = data
    entry = {"name": "r", "file": "r.pth", "model": "resnet18", "data": "progan_2cls"}
    write_entry(tmp_path / "conf", servers.url("r.pth"), data, **entry)
    overrides = [f"hydra.searchpath=[file://{tmp_path}/conf]"]
    with composed(*overrides, folder=tmp_path / "run"):
        metadata = load_named_checkpoint("published/r", tmp_path / "cache").metadata
    assert (metadata.model.name, metadata.data) == ("resnet18", "progan_2cls")
    assert metadata.model.backbone == {"name": "resnet", "arch": "resnet18", "weights": None}


def test_other_augmentation_than_that_of_the_entry_is_refused(
    settings: list[str], tmp_path: Path
) -> None:
    save_set(tmp_path / "test" / "san", 1, 1)
    settings += ["task=test", f"paths.test={tmp_path}/test", "generator=san"]
    settings += [f"checkpoint={MINE}", "aug=blur_jpg_0.1"]
    message = error_of(lambda: run_task(*settings, folder=tmp_path / "run"))
    assert message == (
        f"checkpoint={MINE} was trained with aug=none, not aug=blur_jpg_0.1: leave aug out"
    )
    run_task(*settings[:-1], "aug=none", folder=tmp_path / "run")
