"""The LaTeX compiles: each table alone, and a two-page article that inputs all of them."""

import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from analysis.cells import DASH, build
from analysis.collect import load
from analysis.tables.latex import alone, to_latex
from analysis.tables.tabulate import Options, tabulate
from petl.config.study import load_study
from petl.runs.synthetic import fabricate

STUDIES = {
    "table1": Options(published=True, tolerance=1.0, reference="lora"),
    "table2": Options(published=True, colors="safe"),
    "table3": Options(published=True),
    "placement": Options(spread="ci95", reference="bottleneck-ffn-parallel"),
    "kernel": Options(metric="test_best.loss"),
    "lora-targets": Options(metric="test_last.f1", digits=2, colors="grey"),
}
ARTICLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,margin=18mm]{geometry}
\usepackage{booktabs,xcolor}
\begin{document}
@tables@
\end{document}
"""
FLOAT = r"""\begin{table}[!htb]\centering\footnotesize\setlength{\tabcolsep}{3pt}
\input{@name@/table.tex}\caption{@name@}\end{table}
"""


def command_or_skip(name):
    if shutil.which(name) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has no {name}")
        pytest.skip(f"no {name} on this machine")
    return name


@pytest.fixture(scope="module")
def pdflatex():
    def compile(folder, name):
        words = ["-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        done = subprocess.run(
            [command_or_skip("pdflatex"), *words], cwd=folder, capture_output=True, timeout=60
        )
        log = done.stdout.decode(errors="replace")
        assert done.returncode == 0, log[-2000:]
        return log

    return compile


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Every study with a table in the paper, and its ablations; a tenth of the runs is missing."""
    folder = tmp_path_factory.mktemp("tables")
    for name, wanted in STUDIES.items():
        study = load_study(name)
        fabricate(study, folder / "runs", share=0.9 if name == "placement" else 1.0)
        found = tabulate(study, folder / "runs", wanted)
        (folder / name).mkdir()
        (folder / name / "table.tex").write_text(found.in_format("latex"))
        (folder / name / "table_alone.tex").write_text(alone(found.table, found.extras))
    return folder


def inked(picture):
    """The share of its pixels that are not white."""
    grey = Image.open(picture).convert("L")
    return sum(grey.histogram()[:250]) / (grey.width * grey.height)


@pytest.mark.parametrize("name", STUDIES)
def test_a_table_compiles_alone_on_a_page_of_its_size(tables, pdflatex, name):
    log = pdflatex(tables / name, "table_alone")
    assert "(1 page" in log
    assert "Overfull" not in log
    words = [command_or_skip("pdftoppm"), "-r", "60", "-png", "table_alone.pdf", "alone"]
    subprocess.run(words, cwd=tables / name, check=True, timeout=60)
    (picture,) = (tables / name).glob("alone*.png")
    assert 0.02 < inked(picture) < 0.5


def test_two_pages_of_an_article_take_them_all(tables, pdflatex):
    floats = "".join(FLOAT.replace("@name@", name) for name in STUDIES)
    (tables / "article.tex").write_text(ARTICLE.replace("@tables@", floats))
    log = pdflatex(tables, "article")
    assert "(2 pages" in log
    assert "Overfull" not in log
    words = [command_or_skip("pdftoppm"), "-r", "60", "-png", "article.pdf", "page"]
    subprocess.run(words, cwd=tables, check=True, timeout=60)
    assert [inked(picture) > 0.02 for picture in sorted(tables.glob("page*.png"))] == [True, True]


def test_what_is_made_up_says_so_on_paper(tables, pdflatex):
    pdflatex(tables / "table3", "table_alone")
    words = [command_or_skip("pdftotext"), "table_alone.pdf", "-"]
    done = subprocess.run(words, cwd=tables / "table3", check=True, capture_output=True, timeout=60)
    assert "SYNTHETIC" in done.stdout.decode()


def test_any_label_is_text(made_study, pdflatex, tmp_path):
    nasty = ["[bracket] 50% & #1", r"*star_{x}^2 ~ \back", f"<a|b> $é$ ± {DASH} ‡ \u2212"]
    methods = {f"m{i}": {"like": "linear", "label": label} for i, label in enumerate(nasty)}
    matrix = {"dataset": ["esc50", "speech-commands"], "method": [*methods, "full"]}
    made = made_study(methods=methods, matrix=matrix)
    made.run(lambda task: None if task.fold == 4 else 0.9)
    table = build(load(made.study, made.runs), "test_last.accuracy")
    (tmp_path / "table.tex").write_text(to_latex(table), encoding="utf-8")
    (tmp_path / "table_alone.tex").write_text(alone(table), encoding="utf-8")
    pdflatex(tmp_path, "table_alone")


def test_a_papers_own_colours_win(tables, pdflatex):
    (tables / "grey.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,xcolor}\definecolor{petlbest}{gray}{0}"
        r"\newcommand{\petlsecond}[1]{\textit{#1}}"
        r"\begin{document}\input{table3/table}\input{table3/table}\end{document}"
    )
    pdflatex(tables, "grey")
    again = (tables / "table3" / "table.tex").read_text()
    assert re.search(r"\\providecolor\{petlbest\}\{HTML\}\{1B7837\}", again)
    assert r"{HTML}{0060A8}" in (tables / "table2" / "table.tex").read_text()
