"""task=serve: the command, its address and token, and its end."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from genspot.common.errors import GenspotError
from genspot.tasks import serve
from helpers.detectors import save_small_cnn
from helpers.errors import error_of
from helpers.images import save_image
from helpers.runs import read_csv
from helpers.settings import ROOT
from helpers.tasks import composed, run_task

LIMIT_S = 120


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_cnn(tmp_path_factory.mktemp("made"))


def refusal(*settings: str, folder: Path) -> str:
    return error_of(partial(run_task, folder=folder), *settings)


class Running:
    """A server of the command line in a process of its own, with what it printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder, self.text = process, folder, ""
        while "Ctrl-C" not in self.text:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], LIMIT_S)[0], self.text
            part = os.read(process.stdout.fileno(), 65536).decode()
            assert part, self.text
            self.text += part
        found = re.search(r"serves at (http://\S+:\d+)/(?:#token=(\S+))?", self.text)
        assert found, self.text
        self.address, self.token = found[1], found[2]

    def stop(self, number: int) -> tuple[int, str]:
        """Send a signal, and return the exit code and all that was printed."""
        self.process.send_signal(number)
        rest = self.process.communicate(timeout=LIMIT_S)[0].decode()
        return self.process.returncode, self.text + rest


@contextmanager
def serving(checkpoint: Path, folder: Path, *settings: str, **env: str) -> Iterator[Running]:
    """Yield a server with a detector; its runs lie below `folder`."""
    own = ["task=serve", f"checkpoint={checkpoint}", "task.port=0", f"paths.root={folder}"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *own, *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield Running(process, folder)
    finally:
        process.kill()
        process.communicate()


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_server_answers_as_a_prediction_does_and_leaves_nothing(
    checkpoint: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    save_image(photo, 1, fake=True, size=(40, 50))
    settings = ["task=predict", f"checkpoint={checkpoint}", f"inputs={photo}"]
    (row,) = read_csv(run_task(*settings, folder=tmp_path / "run") / "predictions.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    content = photo.read_bytes()
    with serving(checkpoint, empty) as server:
        assert server.token is None
        files: Any = [("photo", ("photo.png", content)), ("photo", ("torn.png", content[:60]))]
        response = httpx.post(f"{server.address}/v1/predict", files=files, timeout=LIMIT_S)
        good, torn = response.json()["photos"]
        assert good["detectors"][0]["logit"] == pytest.approx(float(row["logit"]), abs=1e-6)
        assert good["detectors"][0]["checkpoint"] == row["checkpoint"]
        assert (good["unreadable"], torn["detectors"]) == (None, [])
        page = httpx.post(f"{server.address}/v1/report", files=files[:1], timeout=LIMIT_S).text
        assert "data:image/jpeg;base64," in page
        version = httpx.get(f"{server.address}/v1/version").json()
        assert version["detectors"][0]["checkpoint"] == row["checkpoint"]
        during = files_below(empty)
        code, text = server.stop(signal.SIGTERM)
    assert code == 0
    assert text.endswith("stopped: all accepted requests were answered\n")
    assert "Traceback" not in text
    assert {Path(name).name for name in during} <= {"genspot.log", ".lock"}
    assert files_below(empty) == []


def test_server_ends_at_ctrl_c(checkpoint: Path, tmp_path: Path) -> None:
    with serving(checkpoint, tmp_path) as server:
        code, text = server.stop(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in text


def test_other_networks_need_a_token_that_is_printed_once_and_not_logged(
    checkpoint: Path, tmp_path: Path
) -> None:
    with serving(checkpoint, tmp_path, "task.host=0.0.0.0") as server:
        assert len(server.token) >= 32
        version = f"{server.address}/v1/version"
        assert httpx.get(version).status_code == 401
        own = {"Authorization": f"Bearer {server.token}"}
        assert httpx.get(version, headers=own).status_code == 200
        logs = [path.read_text() for path in tmp_path.rglob("*.log")]
        assert not [text for text in logs if server.token in text]
        assert "not encrypted" in server.text


def test_token_of_the_environment_is_needed_and_never_printed(
    checkpoint: Path, tmp_path: Path
) -> None:
    token = "a-token-of-the-environment"
    with serving(checkpoint, tmp_path, GENSPOT_TOKEN=token) as server:
        version = f"{server.address}/v1/version"
        assert httpx.get(version).status_code == 401
        own = {"Authorization": f"Bearer {token}"}
        assert httpx.get(version, headers=own).status_code == 200
        _, text = server.stop(signal.SIGHUP)
    assert token not in text


def test_address_in_use_is_refused_before_weights_are_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = ["task=serve", f"task.port={port}", "checkpoint=/nowhere/best.ckpt"]
        message = refusal(*settings, folder=tmp_path / "run")
    assert f"task.port={port}: Address already in use" in message


def test_address_is_taken_as_soon_as_it_is_bound(tmp_path: Path) -> None:
    settings = ["task=serve", "checkpoint=/nowhere/best.ckpt"]
    with composed(*settings, "task.port=0", folder=tmp_path / "a") as cfg:
        listener = serve._listener(cfg)  # of a server that still reads its weights
    with listener:
        port = listener.getsockname()[1]
        message = refusal(*settings, f"task.port={port}", folder=tmp_path / "b")
    assert f"task.port={port}: Address already in use" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["task.host=no.such.host.invalid"], "task.host=no.such.host.invalid: "),
        (["task.port=70000"], "task.port=70000: give a whole number from 0 on, at most 65535"),
        (["task.max_photos=null"], "task.max_photos=null: give a value"),
        (["task.max_photos=200"], "task.max_photos=200 is more than task.max_queue=128"),
        (["task.max_request_mb=300"], "raise task.max_held_mb"),
        (["task.hosts=[1]"], "give a list of names"),
        (["workers=3"], "workers is without effect on task=serve"),
        (["checkpoint=a.ckpt", "protocol=fakes_jpeg_75"], "give protocol=matched_jpeg_75, or"),
        (["trainer.accelerator=gpu"], "trainer.accelerator is without effect"),
        (["inputs=x"], "inputs is a setting of"),
        (["fpr=0.1"], "fpr is a setting of task=predict"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    settings: list[str], message: str, tmp_path: Path
) -> None:
    found = refusal("task=serve", "task.port=0", *settings, folder=tmp_path / "run")
    assert message in found
    assert "\n" not in found


@pytest.mark.parametrize("token", ["short", "with a space in between", "ümlaut-is-no-ascii-x"])
def test_token_that_is_weak_or_cannot_be_sent_is_refused_without_being_shown(
    token: str, tmp_path: Path
) -> None:
    settings = ["task=serve", "task.port=0", f"task.token='{token}'"]
    message = refusal(*settings, folder=tmp_path / "run")
    assert "at least 16 ASCII" in message
    assert token not in message


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart"])
def test_missing_extra_is_one_line(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [one for one in sys.modules if one.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    for name in [one for one in sys.modules if one.startswith("genspot.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    message = refusal("task=serve", "task.port=0", folder=tmp_path / "run")
    shown = package.replace("_", "-")
    assert message == (
        f"task=serve needs {shown}: pip install 'genspot[serve]' (in a checkout: make serve)"
    )


def test_address_is_shown_as_a_browser_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with composed("task=serve", "task.host='::1'", "task.port=0", folder=tmp_path) as cfg:
        try:
            listener = serve._listener(cfg)
        except GenspotError:
            pytest.skip("no IPv6 here")
    with listener:
        serve._print_address(listener, None, local=True)
    assert re.match(r"genspot serves at http://\[::1\]:\d+/\n", capsys.readouterr().out)


def test_busy_port_is_free_again_after_the_server(checkpoint: Path, tmp_path: Path) -> None:
    with serving(checkpoint, tmp_path) as server:
        assert httpx.get(f"{server.address}/v1/health").status_code == 200
        server.stop(signal.SIGTERM)
    port = int(server.address.rpartition(":")[2])
    end = time.monotonic() + LIMIT_S
    with serving(checkpoint, tmp_path, f"task.port={port}") as again:
        assert again.address == server.address
        assert time.monotonic() < end
