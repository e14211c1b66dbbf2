"""The files of a report: Markdown, LaTeX, a page that is safe to open, pictures."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from jinja2 import UndefinedError

from engine.evaluation.results import SAMPLES, FailedSample
from remdm_tui.commands.report import write_report as write_files
from remdm_tui.console.sanitize import is_visible, sanitize
from remdm_tui.reports import examples, html, latex, markdown, templates
from remdm_tui.reports.collect import collect
from remdm_tui.reports.document import ReportDocument, document
from remdm_tui.reports.page_svg import element
from remdm_tui.reports.samples import first_samples
from remdm_tui.reports.templates import escape_html, escape_latex, escape_markdown
from tests.cli.evaluations import UNJUDGED, results, sweep, write

EVIL = "\x1b[31m<script>alert(1)</script> & `x` | $y$ \u202eback </pre>"
ODD = "a_b$c%d|e<i>f&g\\h#i{j}k^l~m"


def made(root: Path) -> ReportDocument:
    return document(collect([root]))


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, its text, and whether every tag is closed."""

    VOID = {"meta", "br", "link", "img"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = sweep(tmp_path_factory.mktemp("sweep"))
    write(root / "odd one's", results(ODD, 1024), (EVIL, "A second text."))
    return html.render(made(root))


def test_the_page_is_well_formed_and_its_ids_are_unique(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    ids = Counter(attributes["id"] for _, attributes in parsed.tags if "id" in attributes)
    assert [name for name, times in ids.items() if times > 1] == []


def test_every_reference_of_the_page_is_to_an_id_in_it(page: str) -> None:
    parsed = Page(page)
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    targets = [a[name] or "" for _, a in parsed.tags for name in ("href", "src", "xlink:href") if name in a]
    targets += [f"#{target}" for target in re.findall(r"url\(#([^)]*)\)", page)]
    assert len(targets) > 100
    assert [target for target in targets if target[0] != "#" or target[1:] not in ids] == []


def test_the_pages_policy_allows_its_own_style_and_nothing_else(page: str) -> None:
    policy = next(a["content"] for t, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


def test_the_page_has_neither_script_nor_inline_style(page: str) -> None:
    tags = Page(page).tags
    assert "script" not in {tag for tag, _ in tags}
    assert [a for _, a in tags if "style" in a or any(name.startswith("on") for name in a)] == []


def test_the_page_follows_dark_and_light(page: str) -> None:
    assert page.count("prefers-color-scheme: dark") == 2
    assert "currentColor" in page


def test_a_samples_text_is_in_the_page_sanitized(page: str) -> None:
    text = Page(page).text
    assert "\u241b[31m<script>alert(1)</script> & `x` | $y$ \ufffdback </pre>" in text
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_each_sample_has_its_figures_and_the_command_that_replays_it(page: str) -> None:
    text = Page(page).text
    assert "gen PPL 22.2, entropy 5.310, 96 calls, repeated-4 0.020" in text
    (command,) = set(re.findall(r"remdm-tui watch --from \S.*odd.* --sample 1\b", text))
    import shlex

    words = shlex.split(command)
    assert Path(words[3]).name == "odd one's"
    assert words[4:] == ["--sample", "1"]


def test_every_plot_says_what_it_is_to_those_who_cannot_see_it(page: str) -> None:
    drawings = [a for tag, a in Page(page).tags if tag == "svg"]
    assert len(drawings) == 3 * 3 + 3
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)


def test_every_table_has_a_caption_and_headings(page: str) -> None:
    tags = Counter(tag for tag, _ in Page(page).tags)
    scopes = Counter(a.get("scope") for tag, a in Page(page).tags if tag == "th")
    assert tags["table"] == tags["caption"] == 3 + 3
    assert scopes["row"] == tags["tr"] - tags["table"]
    assert scopes[None] == 0


def test_the_page_shows_a_bounded_number_of_samples_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "a", results(), tuple(f"Text {i}." for i in range(50)))
    text = Page(html.render(made(tmp_path), samples=3)).text
    assert re.findall(r"Text \d+\.", text) == ["Text 0.", "Text 1.", "Text 2."]
    assert "The first 3 samples of each setting at most" in text
    assert "3 of 5,000 samples" in text


def test_a_long_text_is_cut_and_the_page_says_so(tmp_path: Path) -> None:
    write(tmp_path / "a", results(), ("x" * (examples.LONGEST + 5),))
    text = Page(html.render(made(tmp_path))).text
    assert max(map(len, re.findall("x+", text))) == examples.LONGEST
    assert "Cut here after 20,000 characters." in text


def test_samples_are_read_no_further_than_needed(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results(), ("One.", "Two."))
    with (home / SAMPLES).open("ab") as file:
        file.write(b"this is no sample\n")
    (one,) = collect([home]).groups[0].evaluations
    assert [sample.text for sample in first_samples(one, 2)] == ["One.", "Two."]
    with pytest.raises(ValueError, match="line 3"):
        first_samples(one, 3)


def test_the_lowest_numbers_are_found_wherever_they_are(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results(), tuple("abcdef"))
    lines = (home / SAMPLES).read_bytes().splitlines(keepends=True)
    (home / SAMPLES).write_bytes(b"".join(reversed(lines)))
    (one,) = collect([home]).groups[0].evaluations
    assert [sample.number for sample in first_samples(one, 3)] == [0, 1, 2]


def test_samples_that_cannot_be_read_are_a_sentence_in_the_page(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results())
    (home / SAMPLES).unlink()
    assert "samples.jsonl cannot be read" in Page(html.render(made(tmp_path))).text
    os.mkfifo(home / SAMPLES)
    assert "samples.jsonl is a named pipe" in Page(html.render(made(tmp_path))).text
    (home / SAMPLES).unlink()
    (home / SAMPLES).write_text('{"number": 0, "more": ' + "[" * 9999)
    assert "samples.jsonl, line 1: " in Page(html.render(made(tmp_path))).text


def test_a_markdown_table_has_as_many_cells_in_every_row(tmp_path: Path) -> None:
    sweep(tmp_path)
    write(tmp_path / "odd", results(ODD, 1024))
    text = markdown.render(made(tmp_path), pictures=True)
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) == 1 + 3 + 3
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_markdown_leaves_no_mark_of_a_name_unescaped() -> None:
    shown = re.sub(r"\\([\\`*_{}\[\]<>()#+!|~$&])", "", escape_markdown(ODD + EVIL))
    assert not set(shown) & set("\\`*_{}[]<>()#!|~$&")


def test_latex_leaves_no_special_character_of_a_name_unescaped() -> None:
    assert escape_latex("a_b$c%d&e#f{g}h") == r"a\_b\$c\%d\&e\#f\{g\}h"
    assert escape_latex("\\") == r"\textbackslash{}"
    # behind the end of a row these would be its options
    assert escape_latex("*[x]") == "{*}{[}x{]}"
    assert escape_latex("é 日 ±") == r"é ? $\pm$"


def hostile(root: Path) -> ReportDocument:
    """A report whose every name is hostile: strategy, knob, judge, note, conventions, directory."""
    odd = results(ODD, 1024, judge=ODD, knobs={ODD: ODD}, notes=(ODD,), conventions={"reference": (ODD,)})
    write(root / "odd `$x$` one", odd, (EVIL,))
    write(root / "other", results("mdlm", 512))
    (root / "[left](out)").mkdir()
    (root / "[left](out)" / "settings.json").write_text("{}")
    return document(collect([root]))


def test_a_hostile_name_is_text_in_markdown_wherever_it_is(tmp_path: Path) -> None:
    text = markdown.render(hostile(tmp_path), pictures=True)
    assert escape_markdown(ODD) in text
    assert "[left](out)" not in text
    # what is left without a backslash is the template's own: headings, lists, tables, pictures
    own = re.sub(r"(?m)^(#+ |- (\*\*Warning\.\*\*)?)|!\[|\]\(report[-\w]*\.png\)|\|", "", text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_<>\[\]$#~&{}]", own)


def test_a_hostile_name_is_text_in_latex_wherever_it_is(tmp_path: Path) -> None:
    lines = latex.render(hostile(tmp_path)).splitlines()
    assert escape_latex(ODD) in "\n".join(lines)
    # a comment has one line and nothing of it is typeset
    typeset = "\n".join(line for line in lines if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%#_~^<>|]", typeset)
    commands = set(re.findall(r"\\[A-Za-z]+", typeset))
    assert commands == {
        r"\begin", r"\end", r"\centering", r"\caption", r"\label", r"\toprule", r"\midrule", r"\bottomrule",
        r"\scriptsize", r"\pm", r"\textbackslash", r"\textbar", r"\textless", r"\textgreater",
        r"\textasciicircum", r"\textasciitilde",
    }  # fmt: skip


def test_a_hostile_name_is_text_in_the_page_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = html.render(hostile(tmp_path))
    page = Page(text)
    assert page.open == []
    assert escape_html(ODD) in text
    assert {"i", "script"}.isdisjoint(tag for tag, _ in page.tags)
    assert "[left](out)" in page.text


def test_nothing_is_escaped_twice() -> None:
    assert escape_html(f"<{escape_html('&')}>") == "&lt;&amp;amp;&gt;"
    assert templates.render("md", document=ReportDocument("a_b", (), ()), pictures=False) == "# a\\_b\n\n"


def test_a_template_that_misses_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        templates.render("md", pictures=False)


NAMES = (
    "<script>alert(1)</script>", "</style><b>x", "\"' onload='x", "a&b&lt;", "100%", "a_b*c", "a|b", "two\nlines",
    "=1+1", "*", "[x]", "-->", "$x^2$", "\\input{x}", "`x`", "![x](y)", "{{ x }}", "\x1b]0;t\x07\u202e",
)  # fmt: skip
EVERY = "".join(NAMES)
RENDERED = {"md": lambda d: markdown.render(d, False), "tex": latex.render, "html": html.render}


def named(root: Path, names: tuple[str, ...], every: str) -> tuple[ReportDocument, dict[str, str]]:
    """Return a report with a series of each name, all else being named `every`, and its files."""
    place = root / every.replace("/", "|")
    for number, name in enumerate((*names, names[0])):
        made_by = results(
            name, judge=every, knobs={name: name}, sampling={"prompt": every}, notes=(every,),
            failed=(FailedSample(0, 1, 2),),
        )  # fmt: skip
        made_by.settings["model"]["name"] = every
        write(place / str(number), made_by, (every,))
    (place / "unfinished").mkdir()
    (place / "unfinished" / "settings.json").write_text("{}")
    found = made(root)
    return found, {kind: render(found) for kind, render in RENDERED.items()}


def test_a_name_is_text_in_every_file(tmp_path: Path) -> None:
    found, written = named(tmp_path / "odd", NAMES, EVERY)
    plain, usual = named(tmp_path / "plain", tuple(f"name{i:02}" for i in range(len(NAMES))), "name")
    assert len(found.remarks) == len(plain.remarks) == 2
    assert len(found.sections) == len(plain.sections) == 1
    assert all(c == "\n" or is_visible(c) for text in written.values() for c in text)
    assert all(written[kind].count("\n") == usual[kind].count("\n") for kind in ("md", "tex"))
    pages = Page(written["html"]), Page(usual["html"])
    assert pages[0].tags[1:] == pages[1].tags[1:]
    assert all(sanitize(name, cells=True) in pages[0].text for name in NAMES)
    cells = [re.sub(r"\\[^a-z]", "", text).count("|") for text in (written["md"], usual["md"])]
    assert cells[0] == cells[1]
    assert not set(re.sub(r"\\[^a-z]|\*\*Warning\.\*\*", "", written["md"])) & set("<>`*_{}$&")
    code, usually = (re.sub("(?m)^%.*$", "", text) for text in (written["tex"], usual["tex"]))
    commands = [{*re.findall(r"\\[a-zA-Z]+", text)} - SPELT for text in (code, usually)]
    assert commands[0] == commands[1]
    assert not re.search(r"\\\\\s*[*\[]", code)
    bare = re.sub(r"\\[\\{}$&#_%]", "", code)
    assert bare.count("{") == bare.count("}")
    assert not set(bare) & set("%#_^~")


SPELT = {*re.findall(r"\\[a-zA-Z]+", "".join(templates.LATEX.values()))}


def test_a_name_is_text_in_what_a_drawing_is_called() -> None:
    drawn = element('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', "p", EVERY.replace("\x1b", ""))
    assert [(tag, attributes["aria-label"]) for tag, attributes in Page(drawn).tags] == [
        ("svg", EVERY.replace("\x1b", ""))
    ]


def test_latex_tables_are_complete_and_say_their_terms(tmp_path: Path) -> None:
    sweep(tmp_path)
    text = latex.render(made(tmp_path))
    for opened, closed in ((r"\begin{table}", r"\end{table}"), (r"\toprule", r"\bottomrule")):
        assert text.count(opened) == text.count(closed) == 3
    captions = re.findall(r"\\caption\{(.*)\}", text)
    assert all("N = 5,000" in c and "judge gpt2-large" in c and "conventions reference" in c for c in captions)
    for body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end", text, re.DOTALL):
        rows = [line for line in body[1].splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {row.count(" & ") for row in rows} == {len(body[0]) - 1}


@pytest.mark.parametrize("render", [lambda d: latex.render(d), lambda d: markdown.render(d, False), html.render])
def test_every_sentence_of_the_conventions_is_in_every_file(tmp_path: Path, render: object) -> None:
    home = write(tmp_path / "a", results())
    (sentences,) = results().conventions.values()
    written = render(made(home))  # type: ignore[operator]
    assert all(sentence in written for sentence in sentences)


def test_pictures_are_png_and_svg_and_the_same_every_time(tmp_path: Path) -> None:
    for n in (128, 256):
        write(tmp_path / "runs" / str(n), results(steps=n, metrics=UNJUDGED))
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files, missing = write_files(made(tmp_path / "runs"), tmp_path / name)
        assert missing == ""
        found.append({path.name: path.read_bytes() for path in files})
    assert found[0] == found[1]
    names = {f"report-{axis}.{kind}" for axis in ("steps", "calls", "seconds") for kind in ("png", "svg")}
    assert set(found[0]) == names | {"report.html", "report.md", "report.tex"}
    assert found[0]["report-steps.png"].startswith(b"\x89PNG")
    assert b"<svg" in found[0]["report-steps.svg"]


def test_without_matplotlib_there_are_tables_and_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    sweep(tmp_path)
    files, missing = write_files(made(tmp_path), tmp_path)
    assert "pip install 'remdm-tui[eval]'" in missing
    assert [path.name for path in files] == ["report.html", "report.md", "report.tex"]
    assert "pip install" in Page((tmp_path / "report.html").read_text()).text


def test_names_with_dollars_are_drawn_as_they_are(tmp_path: Path) -> None:
    for n in (128, 256):
        write(tmp_path / str(n), results("$\\frac{", n, metrics=UNJUDGED))
    files, _ = write_files(made(tmp_path), tmp_path)
    assert "report-steps.png" in [path.name for path in files]


def test_no_figure_is_lost_on_the_way_to_the_page(tmp_path: Path) -> None:
    home = write(tmp_path / "a", results(perplexity=33.37))
    stored = msgspec.json.decode((home / "results.json").read_bytes())
    text = Page(html.render(made(home))).text
    assert stored["gen_ppl"] == 33.37
    assert "33.4 [32.8, 34.1]" in " ".join(text.split())
