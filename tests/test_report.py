"""The page and the files of finished runs, on made-up runs with what can be ugly about them."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genspot.evaluation import measures
from genspot.evaluation import metrics
from genspot import report
from genspot.common.errors import GenspotError
from genspot.report import comparison
from genspot.report import gallery
from genspot.report import robustness
from genspot.report import summary as story
from genspot.report.columns import DECIDING, MEASURES, RANKING
from genspot.report.console import terminal
from genspot.report.runs import labels, read
from genspot.evaluation.scores import write_parquet
from test_broken import DEEPER

GENERATORS = ("sim_nearest", "a<b&c", "größe_$5%", "|pipe|*x*", "leer", "only_fakes")
UGLY = GENERATORS[1:4]
EVIL = "</pre><script>alert(1)</script>"


def make_run(
    folder: Path,
    seed: int = 0,
    shift: float = 0.0,
    generators: tuple[str, ...] = GENERATORS,
    images: Path | None = None,
    **about: Any,
) -> Path:
    """A finished run whose scores follow from `seed`; fakes are drawn `shift` lower.

    Of its generators "leer" has no image and "only_fakes" one class. Images lie in `images`
    (shared between runs), all but one, which is gone.
    """
    folder.mkdir(parents=True)
    images = images or folder.parent / "images"
    draws, rows = np.random.default_rng(seed), []
    for number, generator in enumerate(generators):
        count = 0 if generator == "leer" else 30
        for label in (0, 1) if generator != "only_fakes" else (1,):
            for row in range(count):
                path = images / f"g{number}" / ("0_real", "1_fake")[label] / f"{row:03}_<&>.png"
                logit = draws.normal(label * (4 - number - shift) - 2, 1.5)
                rows.append((str(path), generator, "", label, logit, False))
                save(path, number * 1000 + label * 100 + row)
    (images / "g0" / "0_real" / "003_<&>.png").unlink(missing_ok=True)
    write_parquet(table(rows), folder / "scores.parquet")
    given = {"title": "best.ckpt", "checkpoint": f"{folder}/best.ckpt", "crop": 32, "seed": 1}
    trained = {"data": "simulated", "aug": "none", "study": None, "seed": 0}
    trained |= {"model": {"name": "resnet18"}, "preprocess": {"crop": 32}}
    trained |= about.pop("trained_on", {})
    result = {**given, **about, "trained_on": trained, "unreadable_in_training": 0}
    result["bootstrap"] = {"replicates": 40, "confidence": 0.95}
    result |= figures(rows, generators, draws)
    (folder / "metrics.json").write_text(json.dumps(result))
    (folder / "config.yaml").write_text(f"name: {EVIL}\nseed: 1\n")
    return folder


def save(path: Path, seed: int) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    names = ("path", "generator", "class", "label", "logit", "padded")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    kinds = {"label": pa.int8(), "logit": pa.float32()}
    return pa.table({name: pa.array(columns[name], kinds.get(name)) for name in names})


def figures(
    rows: list[tuple[Any, ...]], generators: tuple[str, ...], draws: np.random.Generator
) -> dict[str, Any]:
    """Every measure by hand or drawn: the report shows what stands there and computes nothing."""
    found: dict[str, Any] = {}
    for generator in generators:
        mine = [row for row in rows if row[1] == generator]
        one = {key: float(draws.uniform(0.3, 1)) for key in MEASURES}
        counts = {"real": sum(not row[3] for row in mine), "fake": sum(row[3] for row in mine)}
        one |= {"images": len(mine), **counts, "expected": None, "padded": 0, "unreadable": 0}
        one |= {"status": "ok", "title": generator, "published": None}
        if mine and counts["real"]:
            labels, logits = (np.array([row[place] for row in mine]) for place in (3, 4))
            one["ap"] = metrics.average_precision(labels, logits.astype(np.float32))
            one["ap_interval"] = [one["ap"] - 0.05, min(1.0, one["ap"] + 0.04)]
        else:
            one |= dict.fromkeys([*MEASURES, "ap_interval"])
            one["status"] = "one class only" if mine else "empty"
        found[generator] = one
    found[generators[0]]["published"] = {"ap": 0.9, "acc": None, "unconfirmed": True}
    full = [one for one in found.values() if one["status"] == "ok"]
    mean = {key: float(np.mean([one[key] for one in full])) for key in MEASURES}
    mean |= {"generators": len(full), "images": sum(one["images"] for one in full)}
    mean["ap_interval"] = [mean["ap"] - 0.02, mean["ap"] + 0.02]
    return {"generators": found, "mean": mean}


class Page(HTMLParser):
    """The cells of result tables, the shelves of the gallery, and what would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: dict[tuple[str, str, str], str] = {}  # run, generator, measure → text
        self.heat: dict[tuple[str, str], str] = {}
        self.shelves: list[tuple[dict[str, Any], list[float]]] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self._run, self._generator, self._column = "", "", -1
        self._measures: list[str] = []
        self._into: tuple[dict[Any, str], Any] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        self.words.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.loads += [given[key] for key in ("src", "href", "action", "data") if key in given]
        if tag == "table":
            self._run, self._measures = given.get("data-run", ""), []
        elif tag == "th" and "data-measure" in given:
            self._measures.append(given["data-measure"])
        elif tag == "tr":
            self._column, self._generator = -1, given.get("data-generator", "")
            self._run = given.get("data-run", self._run)
        elif tag == "td":
            self._column += 1
            if "data-generator" in given:
                self._into = (self.heat, (self._run, given["data-generator"]))
            elif self._generator and self._column < len(self._measures):
                key = (self._run, self._generator, self._measures[self._column])
                self._into = (self.cells, key)
        elif tag == "ul" and "data-kind" in given:
            self.shelves.append((given, []))
        elif tag == "li" and "data-logit" in given:
            self.shelves[-1][1].append(float(given["data-logit"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into:
            target, key = self._into
            target[key] = target.get(key, "") + data


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}"


def results(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "metrics.json").read_text())
    return {**told["generators"], "mean": told["mean"]}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reported run; the page lies in its own folder."""
    place = tmp_path_factory.mktemp("one")
    fit = {"threshold": -1.25, "temperature": 2.5, "images": 60}
    about = {"fit": fit, "commit": "0123abc", "versions": {"torch": "2.14.0"}}
    folder = make_run(place / "run_<1>", **about)
    (folder / "spectra").mkdir()
    for kind in ("real", "fake"):
        Image.new("L", (32, 32), 99).save(folder / "spectra" / f"sim_nearest_{kind}.png")
    report.write([folder], folder, f"A <title> & {EVIL}")
    return folder


AUGS = ("none", "blur_jpg_0.5", "größer & <besser>")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """An ablation of three augmentations, and the third's robustness; all in one report."""
    place = tmp_path_factory.mktemp("many")
    runs = [
        make_run(place / f"run{number}", number, number / 2, trained_on={"aug": aug})
        for number, aug in enumerate(AUGS)
    ]
    degraded = (["jpeg_90"], ["jpeg_50"], ["blur_1.5"], ["resize_0.5", "jpeg_75"])
    runs += [
        make_run(
            place / f"degraded{number}",
            9,
            number / 2,
            checkpoint=f"{runs[-1]}/best.ckpt",
            trained_on={"aug": AUGS[-1]},
            degrade=words,
        )
        for number, words in enumerate(degraded)
    ]
    report.write(runs, place / "report", "Seven runs")
    return runs, place / "report"


def text(folder: Path, name: str = "report.html") -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_every_number_on_the_page_is_that_of_metrics_json(one: Path) -> None:
    cells = Page(text(one)).cells
    for generator, figures in results(one).items():
        for measure in MEASURES:
            assert cells["run_<1>", generator, measure] == percent(figures[measure])
        ends = figures["ap_interval"]
        shown = "–" if ends is None else f"{percent(ends[0])} – {percent(ends[1])}"
        assert cells["run_<1>", generator, "ap_interval"] == shown
        assert cells["run_<1>", generator, "images"].split()[0] == str(figures["images"])
    first = results(one)["sim_nearest"]
    assert cells["run_<1>", "sim_nearest", "published"] == "90.0 (unconfirmed)"
    difference = f"{100 * (first['ap'] - 0.9):+.1f}".replace("-", "−")
    assert cells["run_<1>", "sim_nearest", "difference"] == difference


def test_every_run_of_many_has_its_numbers_and_its_row_in_the_heat_map(
    many: tuple[list[Path], Path],
) -> None:
    runs, folder = many
    page = Page(text(folder))
    for label, run in zip(labels([read(run) for run in runs]), runs, strict=True):
        for generator, figures in results(run).items():
            assert page.heat[label, generator] == percent(figures["ap"])
            for measure in MEASURES:
                assert page.cells[label, generator, measure] == percent(figures[measure])


def test_csv_holds_every_measure_in_full(many: tuple[list[Path], Path]) -> None:
    runs, folder = many
    rows = list(csv.DictReader((folder / "results.csv").open(encoding="utf-8")))
    assert len(rows) == len(runs) * (len(GENERATORS) + 1)
    found = {(row["folder"], row["generator"]): row for row in rows}
    for run in runs:
        for generator, figures in results(run).items():
            row = found[run.name, generator]
            for key, column in [(key, key) for key in (*MEASURES, "images", "real")]:
                value = figures.get(key)
                assert row[column] == ("" if value is None else str(value))
            ends = figures["ap_interval"] or ("", "")
            assert [row["ap_low"], row["ap_high"]] == [str(end) for end in ends]
    assert found["degraded3", "mean"]["degrade"] == "resize_0.5 then jpeg_75"


def test_csv_holds_no_formula(tmp_path: Path) -> None:
    names = ("=1+1", "+a", "-a", "@a", "\ta", "a=1", "'a")
    folder = make_run(tmp_path / "=run", generators=names)
    told = json.loads((folder / "metrics.json").read_text())
    told["generators"]["-a"][MEASURES[0]] = -0.5
    (folder / "metrics.json").write_text(json.dumps(told))
    report.write([folder], tmp_path / "report", "=title")
    with (tmp_path / "report" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = ["'=1+1", "'+a", "'-a", "'@a", "'\ta", "a=1", "'a", "mean"]
    assert [row["generator"] for row in rows] == expected
    assert {row["folder"] for row in rows} == {"'=run"}
    assert rows[2][MEASURES[0]] == "-0.5"


def test_markdown_holds_the_figures(one: Path) -> None:
    lines = text(one, "results.md").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    heading = [cell.strip() for cell in rows[0]]
    assert {len(row) for row in rows} == {len(heading)}
    for row, (generator, figures) in zip(rows[2:], results(one).items(), strict=True):
        cells = dict(zip(heading, (cell.strip() for cell in row), strict=True))
        plain = re.sub(r"\\(.)", r"\1", cells["generator"])
        assert plain.startswith(generator)
        for column in (*RANKING, *DECIDING):
            if column.key in MEASURES:
                assert cells[column.heading] == percent(figures[column.key])


def test_latex_holds_the_figures_and_the_best_in_bold(many: tuple[list[Path], Path]) -> None:
    runs, folder = many
    tex = text(folder, "results.tex")
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    assert "größer \\& \\textless{}besser\\textgreater{}" in tex
    name = r"größe\_\$5\%"
    cells = [
        cell.strip().removesuffix(r"\\").strip()
        for line in tex.splitlines()
        if line.startswith(name)
        for cell in re.split(r"(?<!\\)&", line)[1:]
    ]
    values = [percent(results(run)["größe_$5%"]["ap"]) for run in runs]
    best = max(values, key=float)
    for cell, value in zip(cells, values, strict=True):
        assert cell.startswith(rf"\textbf{{{value}}} " if value == best else f"{value} ")
        assert "{\\scriptsize [" in cell
    assert not re.search(r"(?<!\\)[_%#]", tex)


def test_latex_of_one_run_has_generators_as_rows(one: Path) -> None:
    tex = text(one, "results.tex")
    figures = results(one)["sim_nearest"]
    assert rf"sim\_nearest & {percent(figures['ap'])} & " in tex
    assert r"\midrule" + "\nmean & " in tex


def test_names_and_configuration_are_escaped(one: Path, many: tuple[list[Path], Path]) -> None:
    for folder in (one, many[1]):
        page = text(folder)
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "a<b" not in page
        assert "a&lt;b&amp;c" in page
        assert "größe_$5%" in page


@pytest.mark.parametrize("name", ["report.html", "results.csv", "results.md", "results.tex"])
def test_the_same_runs_give_the_same_bytes(
    name: str, many: tuple[list[Path], Path], tmp_path: Path
) -> None:
    runs, folder = many
    report.write(runs[:1] + runs[-2:], tmp_path / "a", "Again")
    report.write(runs[:1] + runs[-2:], tmp_path / "b", "Again")
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not list(folder.glob("*.partial"))


def test_the_page_needs_no_network_and_its_ids_are_unique(
    one: Path, many: tuple[list[Path], Path]
) -> None:
    for folder in (one, many[1]):
        page = Page(text(folder))
        assert page.loads
        assert all(load.startswith(("data:", "#")) for load in page.loads)
        assert "@import" not in text(folder)
        assert "http" not in re.sub(r"<pre.*?</pre>", "", text(folder), flags=re.DOTALL)
        assert len(page.ids) == len(set(page.ids))
        assert {load[1:] for load in page.loads if load.startswith("#")} <= set(page.ids)
        assert {"header", "main", "nav", "footer", "caption", "svg"} <= set(page.words)
        assert "<svg role" in text(folder)
        assert len(text(folder)) < 5_000_000


def test_the_gallery_is_in_the_order_of_the_logits(one: Path) -> None:
    run = read(one)
    shelves = Page(text(one)).shelves
    assert len(shelves) == 2 * 4 + 1  # one class only has one shelf, the empty one none
    for given, logits in shelves:
        images = run.images[given["data-generator"]]
        mine = np.sort(images.logits[images.labels == (given["data-kind"] == "fake")])
        assert logits == [mine[index] for index, _ in gallery.picks(len(mine))]
        assert (logits[0], logits[-1]) == (mine[0], mine[-1])
        assert len(logits) == 7


def test_the_table_has_every_measure() -> None:
    assert {*measures.MEASURES, "trivial_ap"} == set(MEASURES)


def test_small_classes_have_small_galleries() -> None:
    assert gallery.picks(1) == [(0, "most fake")]
    assert gallery.picks(2) == [(0, "least fake"), (1, "most fake")]
    assert [index for index, _ in gallery.picks(3)] == [0, 1, 2]
    assert [name for _, name in gallery.picks(101)] == [
        *("least fake", "2nd least fake", "25th percentile", "50th percentile"),
        *("75th percentile", "2nd most fake", "most fake"),
    ]


def test_images_that_are_gone_or_too_many_become_notes(one: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no image")
    assert gallery.thumbnail(tmp_path / "torn.png") == (None, "unreadable")
    assert gallery.thumbnail(tmp_path / "gone.png") == (None, "the file is gone")
    shelves = gallery.shelves(read(one), room=1)
    assert [bool(one.uri) for one in shelves[0].pictures] == [True] + 6 * [False]


def test_thumbnails_ignore_exif_and_keep_to_their_side(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200))
    exif = image.getexif()
    exif[274] = 6  # to be turned by 90°
    image.save(tmp_path / "turned.jpg", exif=exif)
    uri, _ = gallery.thumbnail(tmp_path / "turned.jpg")
    assert uri
    content = uri.removeprefix("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(content))) as small:
        assert small.size == (128, 64)


@pytest.mark.parametrize("kind", DEEPER)
def test_thumbnails_of_deep_grey_show_what_is_scored(kind: str, tmp_path: Path) -> None:
    name, content, expected = DEEPER[kind]
    (tmp_path / name).write_bytes(content)
    uri, _ = gallery.thumbnail(tmp_path / name)
    assert uri
    encoded = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(encoded)) as small:
        shown = np.asarray(small).mean(axis=2)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 5  # JPEG's


def test_labels_say_what_differs(many: tuple[list[Path], Path], tmp_path: Path) -> None:
    runs = [read(run) for run in many[0]]
    assert labels(runs[:3]) == list(AUGS)
    assert labels(runs[2:4]) == ["undegraded", "jpeg_90"]
    assert labels(runs)[1] == "blur_jpg_0.5, undegraded"
    assert labels([runs[0], runs[0]]) == ["run0 (1)", "run0 (2)"]
    make = {"images": tmp_path / "images", "generators": ("sim_nearest",)}
    crops = [make_run(tmp_path / f"c{crop}", crop=crop, **make) for crop in (32, None)]
    assert labels([read(run) for run in crops]) == ["crop 32", "whole images"]
    seeds = [make_run(tmp_path / f"s{seed}", trained_on={"seed": seed}, **make) for seed in (0, 1)]
    assert labels([read(run) for run in seeds]) == ["seed 0", "seed 1"]
    assert labels([read(crops[0]), read(seeds[0])]) == ["c32", "s0"]


def test_runs_that_differ_in_degradation_alone_are_a_curve(
    many: tuple[list[Path], Path],
) -> None:
    runs = [read(run) for run in many[0]]
    (group,) = robustness.groups(runs)
    assert group == runs[2:]
    jpeg, blur = robustness.curves(group)
    assert (jpeg.steps, blur.steps) == (["none", "90", "50"], ["none", "1.5"])
    told = [results(many[0][place])["sim_nearest"]["ap"] for place in (2, 3, 4)]
    assert jpeg.ap["sim_nearest"] == told
    assert robustness.chains(group) == [runs[-1]]
    assert "resize_0.5 then jpeg_75" in text(many[1])
    assert robustness.groups(runs[:3]) == []


def test_differences_to_the_first_run_have_paired_intervals(
    many: tuple[list[Path], Path], tmp_path: Path
) -> None:
    page = text(many[1])
    one, other = (read(run) for run in many[0][:2])
    (difference,) = comparison.differences([one, other])
    for name, (cell, clear) in zip(["mean", *GENERATORS], difference.cells, strict=True):
        aps = [results(run)[name]["ap"] for run in many[0][:2]]
        if None in aps:
            assert (cell, clear) == ("–", False)
            continue
        shown, low, high = (float(part.replace("−", "-").strip(",[]")) for part in cell.split())
        assert shown == pytest.approx(100 * (aps[1] - aps[0]), abs=0.051)
        assert low <= shown <= high
        assert clear <= (low >= 0 or high <= 0)
    assert re.search(r"<td>(<strong>)?[+−]\d+\.\d \[[+−]\d+\.\d, [+−]\d+\.\d\]", page)
    assert "(other images)" not in page
    other = make_run(tmp_path / "run", images=tmp_path / "others")
    report.write([many[0][0], other], tmp_path / "report", "Two")
    assert "(other images)" in text(tmp_path / "report")


def test_the_head_names_the_best_and_the_worst(one: Path, many: tuple[list[Path], Path]) -> None:
    full = {name: one["ap"] for name, one in results(one).items() if one["ap"] and name != "mean"}
    worst = min(full, key=full.__getitem__)
    reading = text(one).partition('class="reading">')[2].partition("</p>")[0]
    assert reading.startswith(f"Mean AP {percent(results(one)['mean']['ap'])}%")
    assert worst.replace("&", "&amp;").replace("<", "&lt;") in reading
    assert "Of 7 runs that differ in aug and degrade" in text(many[1])


def test_means_over_other_generators_are_not_compared(many: tuple[list[Path], Path]) -> None:
    one, other = (read(run) for run in many[0][:2])
    assert comparison.differences([one, other])[0].cells[0][0] != "–"
    left_out = next(name for name in other.complete)
    other.metrics["generators"].pop(left_out)
    assert comparison.differences([one, other])[0].cells[0] == ("–", False)
    assert story.reading([one, other]).endswith("their means do not compare.")


def test_why_accuracy_falls_short_of_ap_is_told(one: Path) -> None:
    run = read(one)
    for figures in run.metrics["generators"].values():
        if figures["ap"] is not None:
            figures |= {"acc": 0.6, "acc_best": 0.62, "acc_real": 0.9, "acc_fake": 0.3}
    assert story.disagreement(run) is None
    run.metrics["generators"]["sim_nearest"]["acc_best"] = 0.95
    told = story.disagreement(run) or ""
    assert "sim_nearest (60.0 against 95.0), because probabilities are too low" in told
    run.metrics["generators"]["sim_nearest"]["acc_real"] = 0.2
    assert "too high" in (story.disagreement(run) or "")


def test_what_older_runs_lack_is_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    told = json.loads((folder / "metrics.json").read_text())
    old = {"ap", "acc", "acc_real", "acc_fake", "auroc"}
    for figures in (*told["generators"].values(), told["mean"]):
        for key in set(MEASURES) - old:
            del figures[key]
    (folder / "metrics.json").write_text(json.dumps(told))
    report.write([folder], folder, "Old")
    shown = {measure for _, _, measure in Page(text(folder)).cells}
    assert old <= shown
    assert not shown & {"acc_fitted", "acc_best", "tpr_at_1", "ece", "trivial_ap"}


def test_a_run_without_any_figure_is_reported(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", generators=("only_fakes", "leer", "sim_nearest"))
    told = json.loads((folder / "metrics.json").read_text())
    del told["generators"]["sim_nearest"]
    for key in ("ap", "acc", "acc_real", "acc_fake", "auroc", "ap_interval"):
        told["mean"][key] = None
    (folder / "metrics.json").write_text(json.dumps(told))
    report.write([folder], folder, "Nothing")
    assert "so there is no AP" in text(folder)
    report.write([folder, folder], tmp_path / "two", "Nothing twice")


def test_a_folder_without_a_finished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=r"metrics\.json is missing"):
        report.write([tmp_path], tmp_path, "x")
    (tmp_path / "metrics.json").write_text("{")
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(GenspotError, match="cannot be reported"):
        report.write([tmp_path], tmp_path, "x")


@pytest.mark.parametrize("told", ["[]", "null", "{}", '{"generators": {}, "mean": {}}'])
def test_metrics_of_another_form_are_refused_in_one_line(told: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "metrics.json").write_text(told)
    with pytest.raises(GenspotError, match="cannot be reported: no bootstrap there"):
        report.write([folder], folder, "x")


FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--dump-dom"),
)
# The page within a frame as wide as a phone, for headless windows have a least width; the title
# then says how wide the page's contents are.
FRAME = """<!doctype html><iframe src="report.html" style="width:{0}px;height:900px"
 onload="document.title=contentDocument.documentElement.scrollWidth"></iframe>"""


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("which", ["one", "many"])
def test_a_browser_shows_it_without_complaint_or_sideways_scrolling(
    which: str, width: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found = request.getfixturevalue(which)
    show_in_a_browser(found if which == "one" else found[1], width, tmp_path)


def show_in_a_browser(folder: Path, width: int, tmp_path: Path) -> None:
    """Fails where the page in `folder` writes to the console or is wider than `width`."""
    shutil.copy(folder / "report.html", tmp_path)
    (tmp_path / "frame.html").write_text(FRAME.format(width))
    flags = [*FLAGS, "--allow-file-access-from-files", f"--user-data-dir={tmp_path}/profile"]
    shown = subprocess.run(
        ["chromium", *flags, f"file://{tmp_path}/frame.html"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CONSOLE" not in shown.stderr
    wide = re.search(r"<title>(\d+)</title>", shown.stdout)
    assert wide, shown.stderr[-2000:]
    assert int(wide[1]) <= width


def test_a_path_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().print("x[/b].png [red] :smile:")
    assert capsys.readouterr().out == "x[/b].png [red] :smile:\n"
