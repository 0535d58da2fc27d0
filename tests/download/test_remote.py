"""A file of a server, read by ranges, whatever the server does."""

from __future__ import annotations

import logging
import random
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from genspot.common.errors import GenspotError
from genspot.download.client import Client
from genspot.download.patience import Patience, TransferStoppedError
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.table import FileEntry
from helpers import download_faults as faults
from helpers.download_faults import FOREVER, Fault
from helpers.download_servers import Servers, published_files
from helpers.errors import error_of
from helpers.http_proxy import http_proxy

DATA = random.Random(1).randbytes(900_000)
SHORT = Patience(connect=2, stall=0.3, first_wait=0.01, longest_wait=0.05, total=5, tries=3)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def remote_file(
    *wrong: Fault, patience: Patience = SHORT, entry: FileEntry | None = None, **settings: Any
) -> Iterator[tuple[RemoteFile, Servers]]:
    """Yield the file `a` of servers with faults."""
    with published_files({"a": DATA}, wrong, **settings) as servers, Client(patience) as client:
        progress = Progress("a", len(DATA), quiet=True)
        yield RemoteFile(client, entry or servers.entry("a"), progress), servers


def make_certificate(folder: Path) -> Path:
    """Return a file with a new key and a certificate of localhost that it has signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = folder / "localhost.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(path), "-out", str(folder / "certificate.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (folder / "certificate.pem").read_text())
    return path


def statuses(servers: Servers, server: str) -> list[int]:
    return [request.status for request in servers.requests if request.server == server]


def test_read_returns_the_bytes_and_counts_them() -> None:
    with remote_file() as (file, servers):
        assert file.read(0, 10) == DATA[:10]
        assert file.read(899_990, 10) == DATA[-10:]
        assert file.read(1000, 700_000) == DATA[1000:701_000]
        assert file.read(5, 0) == b""
        assert servers.served() == file.client.received == file.progress.arrived == 700_020
        assert statuses(servers, "hub") == [302]
        assert statuses(servers, "cdn") == [206] * 3
        assert file.client.requests == 4


def test_read_asks_for_identity_and_uses_one_connection() -> None:
    with remote_file() as (file, servers):
        for start in range(0, 900_000, 300_000):
            file.read(start, 300_000)
        assert {request.headers["Accept-Encoding"] for request in servers.requests} == {"identity"}
        assert servers.requests[0].headers["User-Agent"].startswith("genspot/")
        assert len(servers._running["cdn"].connections) == 1


def test_read_by_threads_asks_the_hub_once() -> None:
    with remote_file(pause=0.01) as (file, servers), ThreadPoolExecutor(4) as threads:
        parts = threads.map(lambda start: file.read(start, 100_000), range(0, 900_000, 100_000))
        assert b"".join(parts) == DATA
        assert statuses(servers, "hub") == [302]


@pytest.mark.parametrize("reset", [False, True])
def test_read_of_a_cut_connection_goes_on_at_the_byte(
    reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cuts = [faults.cut(after=after, reset=reset) for after in (0, 1, 300_000)]
    with remote_file(*cuts) as (file, servers):
        assert file.read(0, 900_000) == DATA
        words = "Connection reset by peer" if reset else "the connection ended early"
        assert f"a: {words}; the next try follows in" in caplog.text
        if not reset:  # a reset loses what was on its way
            assert servers.served() == 900_000
            ranges = [request.range for request in servers.requests if request.server == "cdn"]
            assert [text.split("-")[0] for text in ranges if text] == [
                "bytes=0",
                "bytes=0",
                "bytes=1",
                "bytes=300001",
            ]


def test_read_of_a_stalled_connection_goes_on_at_the_byte(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = replace(SHORT, stall=1)  # longer than a busy machine makes an answer wait
    with remote_file(faults.stall(after=200_001), patience=patience) as (file, servers):
        started = time.monotonic()
        assert file.read(0, 900_000) == DATA
        assert 1 <= time.monotonic() - started < 5
        assert servers.served() == 900_000
    assert "a: no byte came for 1 s; the next try follows in 0.0 s" in caplog.text


def test_read_during_an_outage_waits_for_its_end() -> None:
    with remote_file(pause=0.02) as (file, servers), ThreadPoolExecutor(1) as threads:
        reading = threads.submit(file.read, 0, 900_000)
        while servers.served() < 200_000:
            time.sleep(0.005)
        with servers.outage():
            time.sleep(0.5)
        assert reading.result(timeout=10) == DATA
        assert servers.served() < 900_000 + 200_000  # at most what was on its way


def test_read_of_an_outage_without_an_end_raises_one_line() -> None:
    patience = Patience(connect=1, stall=0.3, first_wait=0.05, longest_wait=0.1, total=0.5)
    with remote_file(patience=patience) as (file, servers):
        file.read(0, 1)
        servers.close()
        message = error_of(file.read, 1, 10)
        servers.open()
    assert message.startswith(servers.url("a"))
    assert "Connection refused, and no byte came for" in message
    assert "What has arrived stays" in message


def test_read_without_a_network_raises_after_three_tries() -> None:
    with remote_file() as (file, servers):
        servers.close()
        message = error_of(file.read, 0, 10)
        servers.open()
        assert file.client.requests == 3
    assert message == f"{file.url}: {servers.hub[7:]}: Connection refused (3 tries)"


def test_read_behind_a_firewall_before_the_storage_names_it_after_three_tries() -> None:
    with remote_file() as (file, servers):
        servers._running["cdn"].shutdown()
        servers._running["cdn"].server_close()
        message = error_of(file.read, 0, 10)
        assert statuses(servers, "hub") == [302] * 3
    assert message == f"{file.url}: {servers.cdn[7:]}: Connection refused (3 tries)"


def test_read_of_a_host_without_a_name_says_so() -> None:
    entry = FileEntry("a", "http://no-such-host.invalid/a", len(DATA), None)
    with remote_file(entry=entry) as (file, _):
        message = error_of(file.read, 0, 10)
    assert message.startswith("http://no-such-host.invalid/a: no-such-host.invalid: ")
    assert "(3 tries)" in message
    assert "HTTPConnection" not in message


@pytest.mark.parametrize(
    "url", ["http://", "ftp://host/file", "http://127.0.0.1:99999/a", "nonsense", "http://[::1/a"]
)
def test_read_of_no_address_raises_one_line_at_once(url: str) -> None:
    with remote_file(entry=FileEntry("a", url, len(DATA), None)) as (file, _):
        assert error_of(file.read, 0, 10).startswith(url)
        assert file.client.requests == 1


@pytest.mark.parametrize(("server", "status"), [("hub", 429), ("cdn", 503)])
def test_read_of_a_busy_server_waits_as_long_as_it_asks(server: Any, status: int) -> None:
    with remote_file(faults.answer(status, "1", server=server)) as (file, _):
        started = time.monotonic()
        assert file.read(0, 1000) == DATA[:1000]
        assert 1 <= time.monotonic() - started < 3


def test_read_of_a_busy_server_waits_until_its_date() -> None:
    date = formatdate(time.time() + 2, usegmt=True)
    with remote_file(faults.answer(503, date)) as (file, _):
        started = time.monotonic()
        assert file.read(0, 1000) == DATA[:1000]
        assert 0.5 <= time.monotonic() - started < 4


def test_read_beyond_a_rate_limit_waits_for_its_window() -> None:
    limit = {"RateLimit": '"resolvers";r=0;t=1', "X-Error-Message": "Too many requests"}
    with remote_file(Fault("answer", server="hub", status=429, headers=limit)) as (file, _):
        started = time.monotonic()
        assert file.read(0, 1000) == DATA[:1000]
        assert 2 <= time.monotonic() - started < 4


def test_read_of_a_server_that_asks_for_hours_raises_one_line() -> None:
    with remote_file(faults.answer(429, "7200")) as (file, _):
        message = error_of(file.read, 0, 10)
    assert "answers 429, and asks to wait 2 h 0 min" in message


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_read_refused_at_the_first_address_raises_one_line(status: int) -> None:
    with remote_file(faults.answer(status, server="hub")) as (file, servers):
        message = error_of(file.read, 0, 10)
        assert len(servers.requests) == 1
    assert message == f"{file.url}: the server does not give this file out: it answers {status}"


def test_read_of_a_file_that_the_hub_has_not_says_why() -> None:
    with remote_file() as (file, servers):
        other = RemoteFile(file.client, servers.entry("a", url=servers.url("gone")), file.progress)
        assert error_of(other.read, 0, 10).endswith("it answers 404 (Entry not found)")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_read_refused_at_a_redirected_address_asks_the_hub_again(status: int) -> None:
    with remote_file(faults.answer(status, skip=1)) as (file, servers):
        file.read(0, 10)
        assert file.read(10, 10) == DATA[10:20]
        assert statuses(servers, "hub") == [302, 302]
        assert statuses(servers, "cdn") == [206, status, 206]


def test_read_refused_at_every_redirected_address_raises_one_line() -> None:
    with remote_file(faults.answer(403, times=FOREVER)) as (file, servers):
        message = error_of(file.read, 0, 10)
        assert statuses(servers, "hub") == [302] * 3
    assert message == f"{file.url}: {servers.cdn[7:]} answers 403 (3 tries)"


@pytest.mark.parametrize("signing", ["amz", "epoch"])
def test_read_after_an_address_expired_asks_the_hub_first(signing: str) -> None:
    with remote_file(signing=signing, lifetime=2) as (file, servers):
        file.read(0, 10)
        file.read(10, 10)
        assert statuses(servers, "hub") == [302]
        time.sleep(2.1)
        assert file.read(20, 10) == DATA[20:30]
        assert statuses(servers, "hub") == [302, 302]
        assert statuses(servers, "cdn") == [206] * 3  # the old address was not used


def test_read_after_an_address_expired_in_silence_asks_the_hub_again() -> None:
    with remote_file(signing="silent") as (file, servers):
        file.read(0, 10)
        servers.expire()
        assert file.read(10, 10) == DATA[10:20]
        assert statuses(servers, "cdn") == [206, 403, 206]


def test_read_by_threads_of_addresses_that_expire_returns_the_bytes() -> None:
    with remote_file(lifetime=1, pause=0.1) as (file, servers), ThreadPoolExecutor(4) as threads:
        parts = threads.map(lambda start: file.read(start, 20_000), range(0, 900_000, 20_000))
        assert b"".join(parts) == DATA
        assert 2 <= len(statuses(servers, "hub")) < 15


WRONG = {
    "start": (
        faults.wrong_start,
        "bytes 0-999/900000 were asked for, the answer is 'bytes 1-1000",
    ),
    "end": (faults.short, "the answer is 'bytes 0-499/900000'"),
    "whole": (faults.no_ranges, "the whole file came instead of a part"),
    "gzip": (faults.gzipped, "the answer is compressed (gzip)"),
    "html": (faults.html, "a page (HTML) came instead of the file"),
    "size": (lambda **where: faults.answer(416, **where), "another size (416)"),
    "total": (
        lambda **where: faults.wrong_headers({"Content-Range": "bytes 0-999/900001"}, **where),
        "the answer is 'bytes 0-999/900001'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_read_of_wrong_answers_raises_after_three(name: str) -> None:
    make, words = WRONG[name]
    offset = 1 if name == "whole" else 0
    with remote_file(make(times=FOREVER)) as (file, servers):
        message = error_of(file.read, offset, 1000)
        assert len(statuses(servers, "cdn")) == 3
        assert file.client.received == 0
    assert words in message
    assert message.endswith("(3 tries)")


@pytest.mark.parametrize("name", WRONG)
def test_read_of_one_wrong_answer_returns_the_bytes(name: str) -> None:
    with remote_file(WRONG[name][0](skip=1)) as (file, _):
        assert file.read(100_000, 1000) == DATA[100_000:101_000]
        assert file.read(0, 1000) == DATA[:1000]
        assert file.read(1000, 1000) == DATA[1000:2000]


def test_read_without_ranges_accepts_the_whole_file_from_its_start() -> None:
    with remote_file(faults.no_ranges(times=FOREVER)) as (file, _):
        assert file.read(0, 900_000) == DATA
        assert file.read(0, 1000) == DATA[:1000]


class ChunkedHandler(BaseHTTPRequestHandler):
    """Answers as proxies may: in chunks, without the length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(DATA)}")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(first, last + 1, 1000):
            piece = DATA[start : min(start + 1000, last + 1)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


def test_read_of_an_answer_in_chunks_returns_the_bytes() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ChunkedHandler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        entry = FileEntry("a", f"http://127.0.0.1:{server.server_port}/a", len(DATA), None)
        with remote_file(entry=entry) as (file, _):
            assert file.read(5, 123_456) == DATA[5:123_461]
            assert file.read(123_461, 5) == DATA[123_461:123_466]
        server.shutdown()


def test_read_of_a_cdn_whose_nodes_name_one_file_differently_returns_the_bytes() -> None:
    tags = [faults.wrong_headers({"ETag": tag}) for tag in ('"1"', 'W/"1"', "2n", '"3-64"')]
    with remote_file(*tags) as (file, servers):
        for start in range(0, 500, 100):
            assert file.read(start, 100) == DATA[start : start + 100]
        assert statuses(servers, "cdn") == [206] * 5


def test_read_of_a_redirect_loop_raises_one_line() -> None:
    with remote_file(faults.redirect_loop()) as (file, servers):
        assert error_of(file.read, 0, 10) == f"{file.url}: the server redirects without an end"
        assert len(servers.requests) == 1


def test_read_of_a_redirect_that_is_not_ascii_goes_there() -> None:
    with remote_file() as (file, servers):
        servers.files["ü"] = DATA
        location = f"{servers.cdn}/direct/ü".encode().decode("latin-1")  # as servers send it
        servers.faults.add(faults.wrong_headers({"Location": location}, server="hub"))
        assert file.read(0, 10) == DATA[:10]
        assert servers.requests[-1].name == "ü"


def test_read_of_a_redirect_without_an_address_says_its_status() -> None:
    with remote_file(faults.answer(302, server="hub", times=FOREVER)) as (file, _):
        assert error_of(file.read, 0, 10) == f"{file.url}: the server answers 302 (3 tries)"


def test_read_of_a_redirect_to_nowhere_raises_one_line() -> None:
    for location in ("", "mailto:nobody", "http://", "http://[x/"):
        wrong = faults.wrong_headers({"Location": location}, server="hub", times=FOREVER)
        with remote_file(wrong) as (file, _):
            error_of(file.read, 0, 10)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Repo-Commit": "0" * 40}, "not the pinned one"),
        ({"X-Linked-Size": "5"}, "has 5 bytes, expected are 900000"),
        ({"X-Linked-ETag": f'"{"0" * 64}"'}, f"SHA-256 {'0' * 64}, expected is"),
    ],
)
def test_read_of_another_file_than_the_tables_raises_one_line(
    headers: dict[str, str], words: str
) -> None:
    with remote_file(faults.wrong_headers(headers, server="hub")) as (file, servers):
        assert words in error_of(file.read, 0, 10)
        assert servers.served() == 0


def test_read_of_a_server_without_redirects_or_one_of_another_kind_returns_the_bytes() -> None:
    with remote_file() as (file, servers):
        for url, hops in ((servers.dropbox_url("a"), 3), (servers.direct_url("a"), 0)):
            servers.forget()
            other = RemoteFile(file.client, servers.entry("a", url=url), file.progress)
            assert other.read(3, 500) == DATA[3:503]
            assert other.read(700, 5) == DATA[700:705]
            assert [one.status for one in servers.requests] == [302] * hops + [206, 206]


def test_read_of_a_renamed_repository_follows_the_relative_address() -> None:
    with remote_file() as (file, servers):
        url = servers.url("a").replace("/org/", "/old/")
        other = RemoteFile(file.client, servers.entry("a", url=url, sha256=None), file.progress)
        assert other.read(3, 500) == DATA[3:503]
        assert other.read(700, 5) == DATA[700:705]
        assert statuses(servers, "hub") == [307, 302]
        assert other.sha256() == servers.sha256("a")


def test_read_of_an_address_without_dl_says_that_it_is_a_page() -> None:
    with remote_file() as (file, servers):
        url = servers.dropbox_url("a").replace("dl=1", "dl=0")
        other = RemoteFile(file.client, servers.entry("a", url=url), file.progress)
        assert "a page (HTML) came" in error_of(other.read, 0, 10)


def test_read_at_hf_endpoint_asks_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with remote_file() as (file, servers):
        monkeypatch.setenv("HF_ENDPOINT", servers.hub + "/")
        url = servers.url("a").replace(servers.hub, "https://huggingface.co")
        mirrored = RemoteFile(file.client, servers.entry("a", url=url), file.progress)
        assert mirrored.url == servers.url("a")
        assert mirrored.read(0, 10) == DATA[:10]
        monkeypatch.setenv("HF_ENDPOINT", servers.hub + "/mirror")  # which redirects all
        servers.forget()
        entry = servers.entry("a", url=url, sha256=None)
        redirected = RemoteFile(file.client, entry, file.progress)
        assert redirected.read(10, 10) == DATA[10:20]
        assert statuses(servers, "hub") == [308, 302]
        assert redirected.sha256() == servers.sha256("a")
        elsewhere = servers.entry("a", url="https://host/a")
        assert RemoteFile(file.client, elsewhere, file.progress).url == "https://host/a"
        for wrong in ("mirror.example", "http://", "https:///mirror"):
            monkeypatch.setenv("HF_ENDPOINT", wrong)
            message = error_of(RemoteFile, file.client, mirrored.entry, file.progress)
            assert message == f"HF_ENDPOINT={wrong}: write an address such as https://HOST"


def test_read_through_a_proxy_sends_all_requests_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_proxy() as proxy, remote_file() as (file, servers):
        monkeypatch.setenv("http_proxy", proxy.url)
        assert file.read(0, 1000) == DATA[:1000]
        assert [url.split("?")[0] for url in proxy.addresses] == [
            servers.url("a"),
            f"{servers.cdn}/signed/a",
        ]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert file.read(1000, 1000) == DATA[1000:2000]
        assert len(proxy.addresses) == 2


def test_read_through_a_proxy_that_is_not_there_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with remote_file() as (file, _):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert "the proxy: Connection refused (3 tries)" in error_of(file.read, 0, 10)


def test_read_of_an_unknown_certificate_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with remote_file() as (file, servers):
        server = servers._running["cdn"]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = servers.direct_url("a").replace("http:", "https:").replace("127.0.0.1", "localhost")
        secure = RemoteFile(file.client, servers.entry("a", url=url), file.progress)
        message = error_of(secure.read, 0, 10)
        assert message.startswith("localhost: [SSL: CERTIFICATE_VERIFY_FAILED]")
        assert "REQUESTS_CA_BUNDLE" in message
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert secure.read(0, 500_000) == DATA[:500_000]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
        assert "missing.pem" in error_of(secure.read, 0, 10)


def assert_cancel_ends_the_read(file: RemoteFile) -> None:
    timer = threading.Timer(0.3, file.client.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(TransferStoppedError):
        file.read(0, 1000)
    assert time.monotonic() - started < 5


def test_cancel_ends_reads_that_wait_for_bytes() -> None:
    patient = Patience(stall=25)
    with remote_file(faults.stall(after=10), patience=patient) as (file, _):
        assert_cancel_ends_the_read(file)
        with pytest.raises(TransferStoppedError):
            file.read(0, 1000)


def test_cancel_ends_waits_between_tries() -> None:
    with remote_file(faults.answer(503, "20"), patience=Patience()) as (file, _):
        assert_cancel_ends_the_read(file)


def test_sha256_of_the_table_asks_nobody() -> None:
    with remote_file() as (file, servers):
        assert file.sha256() == servers.sha256("a")
        assert servers.requests == []


def test_sha256_unknown_is_that_of_the_pinned_revision_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with remote_file() as (file, servers):
        for known in (None, servers.sha256("a")[:8]):
            entry = servers.entry("a", sha256=known)
            other = RemoteFile(file.client, entry, file.progress)
            assert other.sha256() == other.sha256() == servers.sha256("a")
            assert len(statuses(servers, "hub")) == 1
            servers.forget()
    assert caplog.text.count("its SHA-256 is not in the table") == 1
    assert file.progress.arrived == 0


def test_sha256_that_nobody_knows_raises_one_line() -> None:
    with remote_file() as (file, servers):
        branch = servers.url("a").replace("f287cf3c3e92ca2e5451ce200bab8b6f5e0175b2", "main")
        for url in (branch, servers.dropbox_url("a"), servers.direct_url("a")):
            entry = servers.entry("a", url=url, sha256=None)
            other = RemoteFile(file.client, entry, file.progress)
            assert "cannot be verified" in error_of(other.sha256)
        short = servers.entry("a", url=servers.direct_url("a"), sha256="12345678")
        assert RemoteFile(file.client, short, file.progress).sha256() == "12345678"


def test_read_error_is_a_users_error_without_the_signature_of_an_address() -> None:
    with remote_file(faults.answer(403, times=FOREVER)) as (file, _):
        with pytest.raises(GenspotError) as error:
            file.read(0, 10)
        assert "Signature" not in str(error.value)
