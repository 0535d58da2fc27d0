"""Names that make files, rows and keys."""

from __future__ import annotations

import unicodedata

import pytest

from genspot.common.names import MAX_NAME, is_safe_name, name_key, shown


@pytest.mark.parametrize(
    "name", ["san", "été", "my set (v2)", "हिन्दी", "画像", "_a", "2nd", "a.b-c+d", "x" * MAX_NAME]
)
def test_is_safe_name_takes_letters_of_any_script(name: str) -> None:
    assert is_safe_name(name)
    assert is_safe_name(unicodedata.normalize("NFD", name)[:MAX_NAME])
    assert len(f"{name}_real.png.partial".encode()) <= 255


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "../../x", "a\\b", "/etc", "~", "2024", "=1+1", "-a"]
    + ["+a", "@a", "a\nb", "a\x1b[31m", "a\x00", "a\u202eb", "a ", " a", "x" * (MAX_NAME + 1)]
    + ["a:b", "a*", "a|b", 'a"b', "<a>", 3, 1.5, True, None, ["a"], {"a": 1}],
)
def test_is_safe_name_refuses_what_is_unsafe_somewhere(name: object) -> None:
    assert not is_safe_name(name)


def test_name_key_is_that_of_a_file_system_that_ignores_case_and_composition() -> None:
    assert name_key("Été") == name_key(unicodedata.normalize("NFD", "éTÉ"))
    assert name_key("ｍｅａｎ") == name_key("𝐌ean") == "mean"
    assert name_key("san") != name_key("sam")


def test_shown_is_one_printable_line_as_yaml_has_it() -> None:
    assert [shown(value) for value in (None, True, 3, "a")] == ["null", "true", "3", "a"]
    assert shown("a\n\x1b[31m") == r"'a\n\x1b[31m'"
    assert len(shown("x" * 500)) == 101
