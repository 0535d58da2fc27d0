"""The report page as a reader and a browser see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from helpers import chromium

# Network and updates off; the title of the frame says how wide the contents of the page are.
# The page is put into a frame because a headless window has a minimum width.
CHROMIUM_FLAGS = (
    *chromium.FLAGS,
    *("--enable-logging=stderr", "--v=0", "--dump-dom", "--allow-file-access-from-files"),
)
FRAME = """<!doctype html><iframe src="report.html" style="width:{0}px;height:900px"
 onload="document.title=contentDocument.documentElement.scrollWidth"></iframe>"""


def parse_page(page: str) -> ElementTree.Element:
    """Return the elements of `page`, which is XML but for the doctype and void elements."""
    text = page.removeprefix("<!doctype html>")
    return ElementTree.fromstring(re.sub(r"<((meta|link|img)\b[^>]*)>", r"<\1/>", text))


def text_of(element: ElementTree.Element | None) -> str:
    """Return the text of an element, with single spaces.

    Raises:
        AssertionError: there is no such element.
    """
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def result_cells(page: str) -> dict[tuple[str, str, str], str]:
    """Return (run, generator, measure) → text of the tables of results.

    The measure is "" in the heat map and in the table over seeds.
    """
    cells = {}
    for table in parse_page(page).iter("table"):
        measures = [heading.get("data-measure") for heading in table.iterfind("thead//th")][1:]
        for row in table.iterfind("tbody/tr"):
            run, generator = row.get("data-run", table.get("data-run")), row.get("data-generator")
            for cell, measure in zip(row.iterfind("td"), measures, strict=True):
                name = cell.get("data-generator", generator if measure else None)
                if name is not None:
                    cells[run, name, measure or ""] = "".join(cell.itertext())
    return cells


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
