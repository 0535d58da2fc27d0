"""The servers of the published files still have what the table says (make test-network).

Two bytes of each file are asked for, by the client that downloads use; `HF_ENDPOINT` and proxies
count as they do there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from genspot.download.client import Client
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.table import FileEntry
from genspot.tasks.downloads import read_downloads

pytestmark = pytest.mark.network

FILES = [file for entry in read_downloads().values() for file in entry.files]
PINNED = [file for file in FILES if file.url.startswith("https://huggingface.co/")]


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Yield a client; skip a test that was not chosen by its mark."""
    if "network" not in request.config.getoption("markexpr"):
        pytest.skip("asks the real servers: make test-network")
    with Client() as client:
        yield client


def remote_file(client: Client, file: FileEntry) -> RemoteFile:
    return RemoteFile(client, file, Progress(file.name, file.size, quiet=True))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_server_answers_ranges_of_a_file_of_the_tables_size(
    file: FileEntry, client: Client
) -> None:
    remote = remote_file(client, file)
    for offset in (0, file.size - 1):  # an answer with another total is refused
        assert len(remote.read(offset, 1)) == 1
    assert client.received == 2


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_hub_names_the_hash_of_the_table_for_the_pinned_revision(
    file: FileEntry, client: Client
) -> None:
    named = remote_file(client, replace(file, sha256=None)).sha256()
    assert len(named) == 64
    assert named.startswith(file.sha256 or "")
