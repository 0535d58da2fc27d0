"""The report page as a reader and a browser see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

# Network and updates off; the title of the frame says how wide the contents of the page are.
# The page is put into a frame because a headless window has a minimum width.
CHROMIUM_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--dump-dom", "--allow-file-access-from-files"),
)
FRAME = """<!doctype html><iframe src="report.html" style="width:{0}px;height:900px"
 onload="document.title=contentDocument.documentElement.scrollWidth"></iframe>"""


class ReportPage(HTMLParser):
    """The cells of the tables, the gallery, and the addresses in a page.

    Attributes:
        cells: (run, generator, measure) → text, of the tables of results.
        by_run: (run, generator) → text, of the heat map and the table over seeds.
        gallery: attributes of each row and the logits of its pictures.
        addresses: everything that a browser would load or link to.
        ids: of all elements.
        tags: of all elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str, str], str] = {}
        self.by_run: dict[tuple[str, str], str] = {}
        self.gallery: list[tuple[dict[str, Any], list[float]]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._run, self._generator, self._column = "", "", -1
        self._measures: list[str] = []
        self._open_cell: tuple[dict[Any, str], Any] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found: dict[str, Any] = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        links = ("src", "href", "action", "data")
        self.addresses += [found[key] for key in links if key in found]
        if tag == "table":
            self._run, self._measures = found.get("data-run", ""), []
        elif tag == "th" and "data-measure" in found:
            self._measures.append(found["data-measure"])
        elif tag == "tr":
            self._column, self._generator = -1, found.get("data-generator", "")
            self._run = found.get("data-run", self._run)
        elif tag == "td":
            self._column += 1
            if "data-generator" in found:
                self._open_cell = (self.by_run, (self._run, found["data-generator"]))
            elif self._generator and self._column < len(self._measures):
                key = (self._run, self._generator, self._measures[self._column])
                self._open_cell = (self.cells, key)
        elif tag == "ul" and "data-kind" in found:
            self.gallery.append((found, []))
        elif tag == "li" and "data-logit" in found:
            self.gallery[-1][1].append(float(found["data-logit"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._open_cell = None

    def handle_data(self, data: str) -> None:
        if self._open_cell:
            cells, key = self._open_cell
            cells[key] = cells.get(key, "") + data


def check_in_browser(page: str, width: int, folder: Path) -> None:
    """Fail if `page` writes to the console of chromium or is wider than `width` pixels."""
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width))
    result = subprocess.run(
        [
            str(shutil.which("chromium")),
            *CHROMIUM_FLAGS,
            f"--user-data-dir={folder}/profile",
            f"file://{folder}/frame.html",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CONSOLE" not in result.stderr
    title = re.search(r"<title>(\d+)</title>", result.stdout)
    assert title, result.stderr[-2000:]
    assert int(title[1]) <= width
