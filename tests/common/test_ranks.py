"""Which process of a run this is."""

from __future__ import annotations

import pytest

from genspot.common.ranks import RANK_VARIABLES, is_rank_zero


@pytest.mark.parametrize("variable", RANK_VARIABLES)
def test_is_rank_zero_reads_every_launcher(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert is_rank_zero()
    monkeypatch.setenv(variable, "0")
    assert is_rank_zero()
    monkeypatch.setenv(variable, "1")
    assert not is_rank_zero()
