"""The web page in chromium: choose, drop and paste photos, keyboard, token, saved file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.chromium import Browser, is_installed
from helpers.server import FakeExaminer, listening, make_app

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not is_installed(), reason="chromium is not installed"),
]
TOKEN = "a-token-of-the-tests"
TEXT = "document.querySelector('{}').innerText"
DONE = "!document.getElementById('result').hidden && !document.getElementById('photos').disabled"
REFUSED = "!document.getElementById('problem').hidden"
WIDTH = "document.documentElement.scrollWidth"
# What a user drags or copies: a file with the content "photo".
FILE = (
    "const d = new DataTransfer(); "
    "d.items.add(new File(['photo 1'], '{}', {{type: 'image/png'}}));"
)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "<b>my photo.jpg"
    path.write_bytes(b"photo 1")
    return path


@pytest.fixture(params=[(1400, False), (390, True)], ids=["wide", "phone, dark"])
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Browser]:
    width, dark = request.param
    with Browser(tmp_path, width, dark) as opened:
        yield opened
        assert opened.messages == []  # nothing is blocked by the policy, and no error
        assert opened.evaluate(WIDTH) <= width


def text(browser: Browser, selector: str) -> str:
    return str(browser.evaluate(TEXT.format(selector)))


def test_chosen_photo_is_answered_on_the_page_and_can_be_saved(
    browser: Browser, photo: Path, tmp_path: Path
) -> None:
    with listening(make_app(FakeExaminer())) as address:
        browser.open(address)
        browser.choose_files("#photos", photo)
        browser.wait_for(DONE)
        assert "The sentence on <b>my photo.jpg." in text(browser, "#answers .sentence")
        assert browser.evaluate("document.activeElement.id") == "result"
        saved = browser.download("#save", tmp_path / "saved")
        assert saved.suffix == ".html"
        page = saved.read_text("utf-8")
        assert page.startswith("<!doctype html>")
        assert "The sentence on &lt;b&gt;my photo.jpg." in page
        # The style sheet of the answers is that of this page: the grade has its colour.
        grade = "getComputedStyle(document.querySelector('.badge.moderate')).backgroundColor"
        assert browser.evaluate(grade) not in ("rgba(0, 0, 0, 0)", None)


def test_dropped_and_pasted_photos_are_answered(browser: Browser) -> None:
    with listening(make_app(FakeExaminer())) as address:
        browser.open(address)
        drop = (
            "document.body.dispatchEvent(new DragEvent('{}', {{dataTransfer: d, bubbles: true}}));"
        )
        browser.evaluate(FILE.format("one.png") + drop.format("dragenter") + drop.format("drop"))
        browser.wait_for(DONE)
        assert "one.png" in text(browser, "#answers .sentence")
        assert not browser.evaluate("document.querySelector('.drop.over')")
        paste = "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: d}));"
        browser.evaluate("{" + FILE.format("two.png") + paste + "}")
        browser.wait_for(f"{TEXT.format('#answers .sentence')}.includes('two.png')")


def test_keyboard_alone_reaches_the_choice_and_the_options(browser: Browser) -> None:
    with listening(make_app(FakeExaminer())) as address:
        browser.open(address)
        reached = []
        for _ in range(4):
            browser.press("Tab", 9)
            reached.append(browser.evaluate("document.activeElement.id"))
        assert reached == ["", "photos", "deliveries", ""]  # first: the link to the photo
        outline = "getComputedStyle(document.querySelector('.choose')).outlineStyle"
        browser.evaluate("document.getElementById('photos').focus()")
        assert browser.evaluate(outline) == "solid"
        browser.evaluate("document.getElementById('deliveries').focus()")
        browser.press(" ", 32)
        assert browser.evaluate("document.getElementById('deliveries').checked")


def test_unreadable_and_too_many_photos_are_explained(browser: Browser, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(b"text")
    with listening(make_app(FakeExaminer(), max_photos=2)) as address:
        browser.open(address)
        browser.choose_files("#photos", *paths)
        browser.wait_for(REFUSED)
        assert "These are 3 photos; choose up to 2" in text(browser, "#problem")
        browser.choose_files("#photos", paths[0])
        browser.wait_for(f"{TEXT.format('#problem')}.includes('no photo can be read')")
        assert "0.png: its content is no image" in text(browser, "#problem")
        assert browser.evaluate("document.getElementById('problem').getAttribute('role')")
        browser.messages.clear()  # chromium notes each status of 400 and above


def test_examination_can_be_cancelled(browser: Browser, photo: Path) -> None:
    examiner = FakeExaminer()
    examiner.go.clear()
    with listening(make_app(examiner)) as address:
        browser.open(address)
        browser.choose_files("#photos", photo)
        browser.wait_for("!document.getElementById('cancel').hidden")
        browser.evaluate("document.getElementById('cancel').click()")
        browser.wait_for(f"{TEXT.format('#status')} === 'Cancelled.'")
        examiner.go.set()
        browser.choose_files("#photos", photo)
        browser.wait_for(DONE)


def test_token_of_the_link_is_used_and_leaves_the_address(browser: Browser, photo: Path) -> None:
    with listening(make_app(FakeExaminer(), token=TOKEN)) as address:
        browser.open(f"{address}/#token={TOKEN}")
        assert browser.evaluate("location.href") == f"{address}/"
        assert browser.evaluate("document.getElementById('access').hidden")
        browser.choose_files("#photos", photo)
        browser.wait_for(DONE)


def test_missing_token_is_asked_for_and_the_photo_examined_then(
    browser: Browser, photo: Path
) -> None:
    with listening(make_app(FakeExaminer(), token=TOKEN)) as address:
        browser.open(address)
        assert browser.evaluate("document.activeElement.id") == "token"
        browser.choose_files("#photos", photo)
        browser.wait_for(REFUSED)
        assert "the token is missing or wrong" in text(browser, "#problem")
        browser.evaluate(f"document.getElementById('token').value = '{TOKEN}'")
        browser.evaluate("document.querySelector('#access button').click()")
        browser.wait_for(DONE)
        browser.messages.clear()  # chromium notes the status 401


def test_docs_are_readable_without_a_script(browser: Browser) -> None:
    with listening(make_app(FakeExaminer())) as address:
        browser.open(f"{address}/docs")
        assert "/v1/predict" in text(browser, "main")
