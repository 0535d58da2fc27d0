"""The runtimes of exported detectors: what they read, and that they report to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genspot.detector.runtimes import import_openvino, open_onnx, open_openvino
from helpers.errors import error_of
from helpers.graphs import make_onnx, save_openvino, skip_without

skip_without("onnx", "onnxruntime", "openvino")

# What a fresh installation does: nothing says that it tests or builds, and the home is empty.
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from genspot.detector.runtimes import open_onnx, open_openvino
images = np.zeros((1, 3, 4, 5), np.uint8)
for name, opener in (("a.onnx", open_onnx), ("a.xml", open_openvino)):
    assert opener(Path(sys.argv[1], name)).run(images).tolist() == [0.0]
assert "openvino_telemetry" not in sys.modules
print("files", *[path for path in Path.home().rglob("*") if path.is_file()])
"""

# What was opened first is given up first.
SIGNALLED = """
import os, signal, sys
from pathlib import Path
from genspot.detector.runtimes import open_openvino
files = [open_openvino(Path(sys.argv[1], "a.xml")) for _ in range(2)]
del files[0]
del files[0]
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same graph as a.onnx and a.xml."""
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "a.onnx").write_bytes(make_onnx({"about": "{}"}))
    save_openvino(folder / "a.xml", {"about": "{}"})
    return folder


@pytest.mark.parametrize(("name", "opener"), [("a.onnx", open_onnx), ("a.xml", open_openvino)])
def test_open_file_gives_inputs_what_it_says_of_itself_and_the_function(
    name: str, opener: object, graphs: Path
) -> None:
    assert callable(opener)
    inputs, described, run = opener(graphs / name)
    assert inputs == [("images", "uint8", 4)] and described["about"] == "{}"
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 7), dtype=np.uint8)
    first, second = run(images), run(images[:1])  # the second leaves the first as it is
    assert np.allclose(first, images.reshape(3, -1).mean(1), atol=1e-4)
    assert first.dtype == np.float32 and np.allclose(second, first[:1], atol=1e-4)


def test_runtimes_leave_no_file_in_the_home_and_do_not_load_the_package_that_reports(
    graphs: Path, tmp_path: Path
) -> None:
    """As installed, each writes an identifier there before it sends its first report."""
    silencers = ("CI", "JENKINS_URL", "ORT_DISABLE_TELEMETRY", "TF_BUILD", "PYTEST_CURRENT_TEST")
    kept = {key: value for key, value in os.environ.items() if key not in silencers}
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(graphs)],
        env=kept | places,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (0, "files\n"), result.stderr


def test_signal_after_files_of_openvino_were_closed_reaches_its_handler(graphs: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(graphs)], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout) == (0, "handled\n"), result.stderr


def test_import_openvino_leaves_the_package_that_reports_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    assert import_openvino() is import_openvino()
    assert "openvino_telemetry" not in sys.modules


@pytest.mark.parametrize("content", [b"", b"<xml", b"\x08\x12"])
def test_open_openvino_refuses_damage_in_one_line(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    message = error_of(open_openvino, path)
    assert message.startswith(f"checkpoint={path} is no network that OpenVINO can read (")
    assert "\n" not in message and capfd.readouterr().err == ""


def test_open_openvino_without_its_weights_is_one_line(graphs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes((graphs / "a.xml").read_bytes())
    message = error_of(open_openvino, tmp_path / "a.xml")
    assert "is no network that OpenVINO can read" in message


@pytest.mark.parametrize(
    ("package", "opener"), [("onnxruntime", open_onnx), ("openvino", open_openvino)]
)
def test_missing_runtime_is_named(
    package: str, opener: object, graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert callable(opener)
    message = error_of(opener, graphs / "a.onnx", "checkpoint")
    assert message.endswith(
        f"needs {package}: pip install 'genspot[export]' (in a checkout: make export)"
    )
