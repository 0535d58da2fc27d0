from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from genspot.report.comparison import over_seeds
from genspot.report.page import render_report
from genspot.report.tables import (
    CALLED_COLUMNS,
    EXPORTED_MEASURES,
    RANKING_COLUMNS,
    THRESHOLD_COLUMNS,
)
from helpers.report_runs import COMPLETE, GENERATORS, make_run, make_training, percent


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_holds_every_figure_exactly(ablation) -> None:
    rows = read_csv(ablation.files["results.csv"])
    assert len(rows) == len(ablation.runs) * (len(GENERATORS) + 1)
    by_key = {(row["folder"], row["generator"]): row for row in rows}
    for run in ablation.runs:
        for generator, figures in run.results.items():
            row = by_key[run.folder.name, generator]
            for key in (*EXPORTED_MEASURES, "images", "real"):
                value = figures.get(key)
                assert row[key] == ("" if value is None else str(value))
            interval = figures["ap_interval"] or ("", "")
            assert [row["ap_low"], row["ap_high"]] == [str(end) for end in interval]
            for rate in ("fpr", "tpr"):
                values = [figures.get(rate), *(figures.get(f"{rate}_interval") or (None, None))]
                keys = (rate, f"{rate}_low", f"{rate}_high")
                assert [row[key] for key in keys] == [
                    "" if one is None else str(one) for one in values
                ]
    assert by_key["degraded3", "mean"]["degradations"] == "resize_0.5 then jpeg_75"


def test_csv_rows_over_seeds_hold_the_ap_alone(trainings) -> None:
    rows = read_csv(trainings.files["results.csv"])
    assert len(rows) == len(trainings.runs) * (len(GENERATORS) + 1) + 2 * (len(COMPLETE) + 1)
    for group in over_seeds(trainings.runs):
        group_rows = {row["generator"]: row for row in rows if row["run"] == group.label}
        assert list(group_rows) == [*COMPLETE, "mean"]
        for name, row in group_rows.items():
            figures = group.results[name]
            low, high = figures["ap_interval"]
            shown = {"ap": figures["ap"], "ap_low": low, "ap_high": high}
            shown |= {"images": figures["images"], "seed": "0 1 2", "status": "ok"}
            shown |= {"aug": group.choice, "data": "simulated", "crop": "crop 32"}
            shown |= {"model": "resnet18", "degradations": "undegraded"}
            shown["protocol"] = "no protocol"
            shown |= {"run": group.label, "generator": name}
            assert row == {key: str(shown.get(key, "")) for key in row}


def test_csv_text_is_not_a_formula_and_numbers_are_kept(tmp_path: Path) -> None:
    names = ("=1+1", "+a", "-a", "@a", "\ta", "a=1", "'a", "-\x1b")
    run = make_run(tmp_path / "=run", generators=names)
    run.metrics["generators"]["-a"]["acc"] = -0.5
    rows = read_csv(render_report([run], "=title")["results.csv"])
    expected = ["'=1+1", "'+a", "'-a", "'@a", "'\\ta", "a=1", "''a", "'-\\x1b", "mean"]
    assert [row["generator"] for row in rows] == expected
    assert {row["folder"] for row in rows} == {"'=run"}
    assert rows[2]["acc"] == "-0.5"


def test_tables_of_one_run_hold_its_figures(single) -> None:
    (run,), files, _ = single
    lines = [line for line in files["results.md"].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    columns = RANKING_COLUMNS | THRESHOLD_COLUMNS | CALLED_COLUMNS
    for row, (generator, figures) in zip(rows[2:], run.results.items(), strict=True):
        cells = dict(zip(rows[0], row, strict=True))
        assert re.sub(r"\\(.)", r"\1", cells["generator"]).startswith(generator)
        for key in EXPORTED_MEASURES:
            value = figures[key]
            decimal = "–" if value is None else f"{value:.3f}"
            assert cells[columns[key]] == (decimal if key == "log_loss" else percent(value))
        for key in ("fpr", "tpr"):
            interval = [percent(end) for end in figures.get(f"{key}_interval") or ()]
            shown = f"{percent(figures.get(key))} [{' – '.join(interval)}]" if interval else "–"
            assert re.sub(r"\\(.)", r"\1", cells[columns[key]]) == shown
    assert (
        rf"sim\_nearest & {percent(run.results['sim_nearest']['ap'])} & " in files["results.tex"]
    )
    assert "\\midrule\nmean (4 sets) & " in files["results.tex"]


def test_markdown_and_latex_tables_over_seeds_hold_the_ap_and_interval(trainings) -> None:
    groups = over_seeds(trainings.runs)
    part = trainings.files["results.md"].partition("## Over seeds")[2].partition("\n## ")[0]
    markdown = re.sub(r"\\(.)", r"\1", part)
    assert f"| generator | {' | '.join(group.label for group in groups)} |" in markdown
    latex = trainings.files["results.tex"]
    assert (
        latex.count(r"\begin{tabular}") == 5
    )  # of AP and of shares five and two runs, and groups
    table = latex.rpartition(r"\begin{tabular}")[2]
    for name in ("sim_nearest", "mean"):
        aps = [group.results[name]["ap"] for group in groups]
        intervals = [map(percent, group.results[name]["ap_interval"]) for group in groups]
        pairs = zip(aps, intervals, strict=True)
        cells = [f"{percent(ap)} [{' – '.join(interval)}]" for ap, interval in pairs]
        assert f"| {name} | {' | '.join(cells)} |" in markdown
        (line,) = [row for row in table.splitlines() if row.startswith(name.replace("_", r"\_"))]
        plain = re.sub(r"\\textbf\{([^}]*)\}|\{\\scriptsize ([^}]*)\}", r"\1\2", line)
        assert plain.removesuffix(r" \\").replace("--", "–").split(" & ")[1:] == cells
        assert re.findall(r"\\textbf\{[^}]*\}", line) == [rf"\textbf{{{percent(max(aps))}}}"]
    assert "| empty | – | – |" in markdown
    assert r"empty & -- & -- \\" in table


def test_latex_of_several_runs_has_escaped_names_and_the_best_in_bold(ablation) -> None:
    latex = ablation.files["results.tex"]
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 4
    assert "größer \\& \\textless{}besser\\textgreater{}" in latex
    assert not re.search(r"(?<!\\)[_%#]", latex)
    aps = [percent(run.results["größe_$5%"]["ap"]) for run in ablation.runs]
    shown = [rf"\textbf{{{ap}}}" if ap == max(aps, key=float) else ap for ap in aps]
    lines = [line for line in latex.splitlines() if line.startswith(r"größe\_\$5\%")]
    assert re.findall(r"& (\S+) \{\\scriptsize \[", " ".join(lines)) == shown


def test_latex_of_one_group_of_seeds_has_nothing_in_bold(tmp_path: Path) -> None:
    runs = [make_training(tmp_path / str(seed), seed) for seed in (0, 1)]
    table = render_report(runs, "x")["results.tex"].rpartition(r"\begin{tabular}")[2]
    assert "simulated over 2 seeds" in table
    assert "textbf" not in table


def test_tables_of_sets_of_one_class_hold_their_shares_and_no_mean(tmp_path: Path) -> None:
    names = ("only_fakes", "only_reals")
    runs = [make_run(tmp_path / str(seed), seed, generators=names) for seed in (0, 1)]
    shares = [
        [
            f"{percent(run.results[name][rate])} [{' – '.join(map(percent, interval))}]"
            for run in runs
            for interval in [run.results[name][f"{rate}_interval"]]
        ]
        for name, rate in zip(names, ("tpr", "fpr"), strict=True)
    ]
    one, two = render_report(runs[:1], "One"), render_report(runs, "Two")
    markdown = re.sub(r"\\(.)", r"\1", two["results.md"])
    for name, cells in zip(names, shares, strict=True):
        state = f"{name} ({name[5:]} only)"
        assert f"| {name} | {' | '.join(cells)} |" in markdown
        latex = [cell.replace("–", "--") for cell in cells]
        assert f"{name} & {' & '.join(latex)}".replace("_", r"\_") in two["results.tex"]
        assert f"{state} & {latex[0]} & ".replace("_", r"\_") in one["results.tex"]
        assert f"| {state} | " in re.sub(r"\\(.)", r"\1", one["results.md"])
    for text in (one["results.md"], one["results.tex"], two["results.tex"]):
        assert "mean" not in text
    assert two["results.tex"].count(r"\midrule") == 1  # no rule above a mean
    rows = read_csv(two["results.csv"])
    assert [row["generator"] for row in rows] == [*names, "mean"] * 2
    assert [row["status"] for row in rows[:2]] == ["fakes only", "reals only"]
    assert rows[1]["fpr"] == str(runs[0].results["only_reals"]["fpr"]) and not rows[1]["tpr"]
