"""Fixtures of tests that use Weights & Biases; the conftest.py of their folders imports them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.wandb_servers import AcceptingHandler, RefusingHandler, serve, serve_silence

SetServer = Callable[[str], None]


@pytest.fixture
def isolated_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights & Biases without a key or a home, and with a service of the test's own."""
    import wandb  # slow to import

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def set_server(monkeypatch: pytest.MonkeyPatch) -> SetServer:
    """Sets the address of the server, and a key."""

    def set_address(address: str) -> None:
        monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
        monkeypatch.setenv("WANDB_BASE_URL", address)

    return set_address


@pytest.fixture
def server(set_server: SetServer) -> Iterator[type[AcceptingHandler]]:
    """A server that accepts everything; the class has what it was sent."""
    handler = type("Handler", (AcceptingHandler,), {"history": []})
    with serve(handler) as address:
        set_server(address)
        yield handler


@pytest.fixture
def refusing_server(set_server: SetServer) -> Iterator[None]:
    with serve(RefusingHandler) as address:
        set_server(address)
        yield


@pytest.fixture
def silent_server(set_server: SetServer) -> Iterator[None]:
    with serve_silence() as address:
        set_server(address)
        yield
