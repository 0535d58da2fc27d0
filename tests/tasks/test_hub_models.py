"""Models of the Hugging Face Hub, from a stand-in on loopback that its own client accepts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.tasks import hub_models
from genspot.tasks.hub_models import hub_file, upload
from helpers.errors import error_of
from helpers.hub_server import READ_ONLY, HubServer, hub_server, use

pytest.importorskip("huggingface_hub")

CARD = b"---\nlibrary_name: genspot\n---\n# A model\n"
FILES = {"model.safetensors": bytes(range(256)) * 40, "README.md": CARD, "config.json": b"{}"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as server:
        use(server.url, tmp_path / "cache", monkeypatch)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of a model."""
    (tmp_path / "model").mkdir()
    for name, content in FILES.items():
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


def file_of(name: str) -> Path:
    return hub_file(name, "checkpoint")


def test_hub_file_is_that_of_the_last_commit_or_of_the_named_one(hub: HubServer) -> None:
    repository = hub.add("jane/model", {"model.safetensors": b"first"})
    first = repository.head
    repository.commit({"model.safetensors": b"second"})
    assert file_of("hub/jane/model").read_bytes() == b"second"
    assert file_of(f"hub/jane/model@{first}").read_bytes() == b"first"
    assert file_of("hub/jane/model@main").read_bytes() == b"second"


def test_hub_file_is_fetched_once_and_the_log_names_its_commit(
    hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    repository = hub.add("jane/model", FILES)
    file = file_of("hub/jane/model")
    assert f"hub/jane/model is commit {repository.head}" in caplog.text
    assert f"its card, with the licence: {hub.url}/jane/model" in caplog.text
    assert file_of("hub/jane/model") == file
    assert [one for one in hub.requests if one.startswith("GET /files")] == [
        f"GET /files/{repository.head}/jane/model/model.safetensors"
    ]


def test_hub_file_that_was_fetched_is_there_without_a_network(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("jane/model", FILES)
    file = file_of("hub/jane/model")
    use("http://127.0.0.1:9", tmp_path / "cache", monkeypatch)
    assert file_of("hub/jane/model") == file


def test_hub_file_that_was_changed_on_the_disk_is_refused(hub: HubServer) -> None:
    hub.add("jane/model", FILES)
    blob = file_of("hub/jane/model").resolve()
    content = bytearray(blob.read_bytes())
    content[5000] ^= 1
    blob.write_bytes(content)
    message = error_of(file_of, "hub/jane/model")
    assert f"checkpoint=hub/jane/model: {blob} has the SHA-256" in message
    assert f"and not {blob.name}: remove this" in message
    blob.unlink()
    assert file_of("hub/jane/model").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize(
    "name",
    ["hub/model", "hub/a/b/c", "hub//b", "hub/a/b@", "hub/a b/c", "hub/jane/é", "hub/../x/y"],
)
def test_hub_file_of_another_name_is_an_error(name: str) -> None:
    assert error_of(file_of, name).endswith("give hub/OWNER/NAME, or hub/OWNER/NAME@REVISION")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hub/jane/none", "there is no such model, or it is private and needs a token (hf auth"),
        ("hub/jane/gated", "its owner has to grant access: ask for it on the model's page"),
        ("hub/jane/model@v2", "the model has no such revision; give a branch, a tag or a whole"),
        ("hub/jane/other", "it has no model.safetensors, as task=share leaves; save its"),
        ("hub/jane/a--b", "Hugging Face refuses it: Cannot have -- or .. in repo_id: 'jane/a--b'"),
    ],
)
def test_hub_file_that_cannot_be_had_is_an_error_of_one_line(
    name: str, expected: str, hub: HubServer
) -> None:
    hub.add("jane/gated", FILES, gated=True)
    hub.add("jane/model", FILES)
    hub.add("jane/other", {"pytorch_model.bin": b"x"})
    assert error_of(file_of, name).startswith(f"checkpoint={name}: {expected}")


@pytest.mark.parametrize("token", ["hf_unknown", ""])
def test_private_model_needs_a_token(
    token: str, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("jane/model", FILES, private=True)
    assert file_of("hub/jane/model").is_file()
    use(hub.url, tmp_path / "other", monkeypatch, token)
    message = error_of(file_of, "hub/jane/model")
    assert "the token is not valid" in message if token else "it is private and needs" in message


def test_hub_file_without_a_network_and_a_copy_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("http://127.0.0.1:9", tmp_path, monkeypatch)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's own pauses
    message = error_of(file_of, "hub/jane/model")
    assert message.startswith("checkpoint=hub/jane/model: http://127.0.0.1:9 cannot be reached (")
    by_hand = "by hand: save model.safetensors of the model's page, and give its path"
    assert message.endswith(f"), and {tmp_path}/hub has no copy; {by_hand}")


def test_hub_file_without_the_extra_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    message = error_of(file_of, "hub/jane/model")
    assert "checkpoint=hub/jane/model needs huggingface_hub: pip install 'genspot[hub]'" in message


def test_upload_makes_a_repository_with_the_files_in_one_commit(
    hub: HubServer, folder: Path
) -> None:
    page, commit, before = upload(folder, "jane/new", None)
    repository = hub.repositories["jane/new"]
    assert page == f"{hub.url}/jane/new"
    assert (commit, before, repository.private) == (repository.head, None, False)
    assert {name: repository.files()[name] for name in FILES} == FILES
    assert len(repository.commits) == 2  # the first is the Hub's own
    assert file_of(f"hub/jane/new@{commit}").read_bytes() == FILES["model.safetensors"]


def test_upload_to_a_model_of_genspot_names_the_commit_before(
    hub: HubServer, folder: Path
) -> None:
    _, first, _ = upload(folder, "jane/new", None)
    (folder / "model.safetensors").write_bytes(b"better")
    _, second, before = upload(folder, "jane/new", None)
    assert before == first != second
    assert file_of(f"hub/jane/new@{first}").read_bytes() == FILES["model.safetensors"]
    assert file_of("hub/jane/new").read_bytes() == b"better"


def test_upload_goes_on_with_a_repository_that_a_failed_one_has_made(
    hub: HubServer, folder: Path
) -> None:
    hub.failures["/commit/"] = 500
    assert "answers: " in error_of(upload, folder, "jane/new", True)
    _, commit, before = upload(folder, "jane/new", True)
    assert (commit, before) == (hub.repositories["jane/new"].head, None)
    assert hub.repositories["jane/new"].private


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": b"mine"},
        {"README.md": b"---\nlibrary_name: timm\n---\n", "model.safetensors": b"x"},
        {"model.safetensors": b"x"},
    ],
)
def test_upload_to_a_repository_with_other_content_changes_nothing(
    files: dict[str, bytes], hub: HubServer, folder: Path
) -> None:
    repository = hub.add("jane/mine", files)
    message = error_of(upload, folder, "jane/mine", None)
    assert message.startswith("repo=jane/mine holds something else already (")
    assert message.endswith("); name another repository")
    assert len(repository.commits) == 1


def test_upload_with_a_visibility_that_the_repository_has_not_is_refused(
    hub: HubServer, folder: Path
) -> None:
    upload(folder, "jane/new", False)
    upload(folder, "jane/new", False)
    assert "repo=jane/new is public already" in error_of(upload, folder, "jane/new", True)


def test_upload_of_a_card_that_the_hub_refuses_makes_no_repository(
    hub: HubServer, folder: Path
) -> None:
    (folder / "README.md").write_text("---\nlicense: my-own\n---\n")
    message = error_of(upload, folder, "jane/new", None)
    assert message.startswith('repo=jane/new: Hugging Face refuses it: "license" must be one of [')
    assert not hub.repositories


@pytest.mark.parametrize(
    ("repo", "token", "expected"),
    [
        ("jane/new", "", "to write there, Hugging Face wants a token; hf auth login, or the"),
        ("jane/new", "hf_unknown", "the token is not valid; hf auth login, or the environment"),
        ("jane/new", READ_ONLY, "the token has no right to write there; give one that has, or"),
        ("bob/new", None, "the token has no right to write there; give one that has, or name"),
        ("bob/his", None, "the token has no right to write there; give one that has, or name"),
    ],
)
def test_upload_without_the_right_is_an_error_of_one_line(
    repo: str,
    token: str | None,
    expected: str,
    hub: HubServer,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    his = hub.add("bob/his", {})
    if token is not None:
        use(hub.url, tmp_path / "other", monkeypatch, token)
    assert error_of(upload, folder, repo, None).startswith(f"repo={repo}: {expected}")
    assert hub.repositories == {"bob/his": his} and len(his.commits) == 1


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("/repos/create", 409, "the name is taken, by a repository that the token does not open"),
        ("/repos/create", 429, "too many requests; give the same command later"),
        ("/repos/create", 500, "answers: "),
        ("/objects/", 400, "answers: "),
        ("/commit/", 400, "answers: "),
    ],
)
def test_upload_that_the_hub_does_not_take_is_an_error(
    asked: str, status: int, expected: str, hub: HubServer, folder: Path
) -> None:
    hub.failures[asked] = status
    assert expected in error_of(upload, folder, "jane/new", None)


def test_upload_beside_another_commit_is_refused(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, "jane/new", None)
    existing = hub_models._existing

    def changed_meanwhile(*arguments: object) -> object:
        found = existing(*arguments)
        hub.repositories["jane/new"].commit({"config.json": b"{1}"})
        return found

    monkeypatch.setattr(hub_models, "_existing", changed_meanwhile)
    (folder / "model.safetensors").write_bytes(b"better")
    message = error_of(upload, folder, "jane/new", None)
    assert "somebody else changed the repository meanwhile" in message
    assert hub.repositories["jane/new"].files()["config.json"] == b"{1}"


def test_upload_without_a_network_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("http://127.0.0.1:9", tmp_path, monkeypatch)
    message = error_of(upload, folder, "jane/new", None)
    assert message.startswith("repo=jane/new: http://127.0.0.1:9 cannot be reached (")


def test_error_of_this_machines_disk_is_raised_as_it_is() -> None:
    with pytest.raises(OSError, match="No space left"), hub_models.explained("x"):
        raise OSError(28, "No space left on device")
    with pytest.raises(GenspotError, match=r"^x: "), hub_models.explained("x"):
        raise ConnectionError("lost")
