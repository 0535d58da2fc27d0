"""Components by name: one file registers itself, and no list elsewhere names it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from genspot.common.errors import GenspotError

Constructor = Callable[..., nn.Module]


class Registry:
    """Constructors of modules by name.

    The files of `package` are imported before the first look-up, so that each registers what it
    defines.

    Args:
        kind: what the modules are, for messages, such as "backbone".
        package: the package whose files register them.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._constructors: dict[str, Constructor] = {}

    def register(self, name: str) -> Callable[[Constructor], Constructor]:
        """Return a decorator that makes a class or function the constructor of `name`."""

        def decorate(constructor: Constructor) -> Constructor:
            if self._constructors.setdefault(name, constructor) is not constructor:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            return constructor

        return decorate

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        return sorted(self._constructors)

    def build(self, settings: Mapping[str, Any]) -> nn.Module:
        """Return the module that `settings` describe: its `name`, and the constructor's arguments.

        Raises:
            GenspotError: no such name, or arguments that the constructor does not take.
        """
        arguments = dict(settings)
        name = arguments.pop("name", None)
        names = self.names()
        if name not in names:
            raise GenspotError(f"no {self.kind} {name!r}; registered are: {', '.join(names)}")
        constructor = self._constructors[name]
        try:
            signature = inspect.signature(constructor)
            signature.bind(**arguments)
        except TypeError as error:
            parameters = ", ".join(signature.parameters) or "none"
            raise GenspotError(
                f"{self.kind} {name!r}: {error}; its settings: {parameters}"
            ) from error
        return constructor(**arguments)
