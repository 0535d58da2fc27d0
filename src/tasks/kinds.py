"""Kinds of values of settings: in words, for messages, and as checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from genspot.common.checks import is_number
from genspot.common.errors import GenspotError
from genspot.common.names import NAME_RULE, is_safe_name, shown
from genspot.detector.settings import is_name


@dataclass(frozen=True)
class Kind:
    """A kind of value: in words, for messages, and as a check of plain values."""

    words: str
    accepts: Callable[[Any], bool]

    def check(self, setting: str, value: Any) -> None:
        """Raise GenspotError, naming `setting`, if `value` is of another kind."""
        if not self.accepts(value):
            raise GenspotError(f"{setting}={shown(value)}: give {self.words}")


def optional(kind: Kind) -> Kind:
    """Return `kind` or null."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.accepts(value))


def either(*kinds: Kind) -> Kind:
    """Return the values of all `kinds`."""
    return Kind(
        " or ".join(kind.words for kind in kinds),
        lambda value: any(kind.accepts(value) for kind in kinds),
    )


def whole(minimum: int, maximum: int = 2**31) -> Kind:
    """Return the whole numbers from `minimum` to `maximum`."""
    limit = "" if maximum == 2**31 else f", at most {maximum}"
    return Kind(
        f"a whole number from {minimum} on{limit}",
        lambda value: type(value) is int and minimum <= value <= maximum,
    )


def number(words: str, accepts: Callable[[float], bool]) -> Kind:
    """Return the finite numbers, and no booleans, that `accepts` takes."""
    return Kind(
        words,
        lambda value: is_number(value) and accepts(value),
    )


def one_of(*choices: str) -> Kind:
    """Return the words `choices`."""
    return Kind(" or ".join(choices), lambda value: isinstance(value, str) and value in choices)


def mapping(keys: Mapping[str, Kind]) -> Kind:
    """Return the mappings that have the `keys` and no others, with values of their kinds."""
    return Kind(
        "{" + ", ".join(f"{key}: {kind.words}" for key, kind in keys.items()) + "}",
        lambda value: (
            isinstance(value, dict)
            and value.keys() == keys.keys()
            and all(keys[key].accepts(part) for key, part in value.items())
        ),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_classes(value: Any) -> bool:
    if value is None or value == "any":
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(_is_text, value))
        and len(set(value)) == len(value)
        and not any(".." in PurePath(name).parts or PurePath(name).is_absolute() for name in value)
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_list_of(accepts: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and all(map(accepts, value))


def _is_place(value: Any) -> bool:
    if not isinstance(value, dict):
        return _is_path(value)
    form = next((FORMS[key] for key in FORMS if key in value), {})
    known = all(key in form and form[key].accepts(part) for key, part in value.items())
    return bool(value) and known and set(value.values()) != {None}


def _is_group(value: Any) -> bool:
    if not isinstance(value, dict) or not SHARE.accepts(value.get("lr", 0)):
        return False
    patterns = value.get("parameters")
    return _is_text(patterns) or (bool(patterns) and PATTERNS.accepts(patterns))


def _is_inputs(value: Any) -> bool:
    one = value if isinstance(value, list) else [value]
    return bool(one) and all(type(part) is int or _is_path(part) for part in one)


def _is_runs(value: Any) -> bool:
    return _is_path(value) or _is_list_of(_is_path, value)


FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text of one line", _is_text)
LINK = Kind(
    "an address that begins with https:// or http://",
    lambda value: _is_text(value) and value.startswith(("https://", "http://")),
)
NAME = Kind(NAME_RULE, is_safe_name)
NAME_OR_NAMES = either(
    NAME, Kind("a list of such names", lambda value: _is_list_of(is_safe_name, value))
)
YEARS = Kind(
    "{NAME: YEAR, …}",
    lambda value: (
        isinstance(value, dict)
        and all(map(is_safe_name, value))
        and all(type(year) is int and year >= 0 for year in value.values())
    ),
)
COMPONENT = Kind(
    "a text of at most 100 letters, digits and _ . + - that begins with a letter, a digit or _",
    is_name,
)
PATH = Kind("a path as text, such as data/set or ./2024", _is_path)
EACH_PATH = either(
    PATH,
    Kind(
        "a list of such paths or null, one for each of several checkpoints",
        lambda value: _is_list_of(optional(PATH).accepts, value) and value != [],
    ),
)
# Where images come from: see `genspot.data.settings.Place`. Each form by a key that it has.
COLUMNS = ("image", "label", "class", "generator")
_COLUMNS = {key: optional(TEXT) for key in COLUMNS}
_SIDES = {"real": optional(PATH), "fake": optional(PATH)}
_TABLE = {"path": PATH, **_COLUMNS, "only": optional(TEXT)}
_HUB = {
    "hub": optional(TEXT),  # null until hub.id names it
    **dict.fromkeys(("split", "config", "revision", "only"), optional(TEXT)),
    **_COLUMNS,
    "streaming": FLAG,
    "limit": optional(whole(1)),
    "folder": PATH,  # of what is streamed
}
FORMS = {"path": _TABLE, "hub": _HUB, "real": _SIDES, "fake": _SIDES}
PLACE = Kind(
    "a path as text, {real: PATH, fake: PATH}, {path: PATH, image: COLUMN, label: COLUMN, "
    "class: COLUMN, generator: COLUMN, only: GENERATOR} or {hub: ORG/NAME, split: SPLIT, …}",
    _is_place,
)
TEST_SETS = Kind(
    "{NAME: PATH, …}, in a shell all in double quotes, where each PATH may be {real: PATH, fake: "
    "PATH} and other forms too",
    lambda value: isinstance(value, dict),
)
LABEL_NAMES = Kind(
    "a list of names, such as [real,nature]", lambda value: _is_list_of(_is_text, value)
)
HOSTS = Kind(
    "a list of names, such as [photos.example.org]", lambda value: _is_list_of(_is_text, value)
)
CLASSES = Kind("a list of class folders, each once; any; or null", _is_classes)
INPUTS = Kind(f"{PATH.words}, or a list of them", _is_inputs)
RUNS = Kind("folders of runs or of sweeps, [FOLDER,…]", _is_runs)
SECTION = Kind("its settings as {key: value, …}", lambda value: isinstance(value, dict))
PROBABILITY = number("a number between 0 and 1", lambda value: 0 < value < 1)
SHARE = number("a number from 0 to 1", lambda value: 0 <= value <= 1)
PERCENT = number("a number from 0 to 100", lambda value: 0 <= value <= 100)
PATTERNS = Kind(
    "a list of patterns of names of parameters, such as [backbone.layer1.*]",
    lambda value: _is_list_of(_is_text, value),
)
PARAMETER_GROUPS = Kind(
    "{NAME: {parameters: PATTERN or [PATTERN,…], lr: a number from 0 to 1, …}, …}",
    lambda value: isinstance(value, dict) and all(map(_is_group, value.values())),
)
WEIGHTS = Kind(
    "two numbers above 0, of real and of fake images",
    lambda value: (
        isinstance(value, list)
        and len(value) == 2
        and all(type(one) in (int, float) and 1e-6 <= one <= 1e6 for one in value)
    ),
)
