"""Pages and texts from the templates in a package's folder `templates/`."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from genspot.common.text import escape
from genspot.report.markdown import escape_markdown


def render_template(name: str, *, package: str = "genspot.report", **values: Any) -> str:
    """Return the template `name`, filled in with `values`; their control characters are shown.

    Texts are escaped: for Markdown in a template that ends with .md, else for HTML.

    Args:
        name: of the file.
        package: whose folder `templates/` holds it.
        values: by their names in the template.
    """
    is_markdown = name.endswith(".md")

    def shown(text: str) -> str:
        return escape_markdown(escape(text)) if is_markdown else escape(text, "\n")

    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=not is_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Markup is a subclass of str: of pictures that are drawn here.
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    return environment.get_template(name).render(values)
