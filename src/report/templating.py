"""Pages from the templates in `templates/`."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from genspot.common.text import escape


def render_template(name: str, **values: Any) -> str:
    """Return the template `name`, filled in with `values`; their control characters are shown."""
    environment = Environment(
        loader=PackageLoader("genspot.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Markup is a subclass of str: of pictures that are drawn here.
        finalize=lambda value: escape(value, "\n") if type(value) is str else value,
    )
    return environment.get_template(name).render(values)
