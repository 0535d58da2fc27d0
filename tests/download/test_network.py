"""The servers of the published files still have what the table says (make test-network).

Headers are asked for, and one byte of each file.
"""

from __future__ import annotations

import pytest
import requests

from genspot.download.table import FileEntry
from genspot.tasks.downloads import read_downloads

pytestmark = pytest.mark.network

FILES = [file for entry in read_downloads().values() for file in entry.files]
PINNED = [file for file in FILES if file.url.startswith("https://huggingface.co/")]
OTHERS = [file for file in FILES if file not in PINNED]
TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    """Skip a test that was not chosen by its mark."""
    if "network" not in request.config.getoption("markexpr"):
        pytest.skip("asks the real servers: make test-network")


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_file_of_the_hub_has_the_size_and_the_hash_of_the_table(file: FileEntry) -> None:
    answer = requests.head(file.url, allow_redirects=False, timeout=TIMEOUT_S)
    assert answer.status_code in (302, 307)
    assert f"/resolve/{answer.headers['X-Repo-Commit']}/" in file.url
    assert int(answer.headers["X-Linked-Size"]) == file.size
    digest = answer.headers["X-Linked-ETag"].strip('"')
    assert len(bytes.fromhex(digest)) == 32
    assert digest.startswith(file.sha256 or "")


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.name)
def test_file_of_another_server_has_the_size_of_the_table(file: FileEntry) -> None:
    headers = {"Accept-Encoding": "identity"}
    answer = requests.head(file.url, allow_redirects=True, headers=headers, timeout=TIMEOUT_S)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == file.size


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_server_of_a_file_answers_ranges(file: FileEntry) -> None:
    headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes 0-0/{file.size}"
