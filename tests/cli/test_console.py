"""What is printed for people: no character of a stranger's text acts on the terminal, whichever command says it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.text import Text

from remdm_tui import cli
from remdm_tui.cli import watch
from remdm_tui.cli.app import app, errors_as_sentences
from remdm_tui.console import output
from remdm_tui.console.rich_console import SafeConsole
from remdm_tui.console.sanitize import INVISIBLE, JOINERS, escape_json, sanitize
from remdm_tui.console.signals import ended_by_signals
from tests.cli.conftest import COMMAND, ENVIRONMENT

CONTROLS = "".join(map(chr, (*range(1, 32), *range(127, 160))))
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDDEN = "\u00ad\u034f\u200b\u200c\u200d\u2028\u2029\u2060\ufe0f\ufeff\ufff9\U000e0041\U000e0100"
SEQUENCES = "\x1b]0;title\x07\x1b]52;c;Y2xpcA==\x1b\\\x1b[2J\x9b31m\x9d0;t\x9c\x1bPq\x1b\\"
HOSTILE = f"x{SEQUENCES}{CONTROLS}{BIDI}{HIDDEN}\udcff\udc9b\nremdm-tui: all is well\rremdm-tui: fine"
"""One of everything, and two attempts at a line of its own."""


def unsafe(text: str) -> set[str]:
    """Return the characters of printed text that do something, or cannot be seen."""
    return {c for c in text if c not in "\n\t" and (not c.isprintable() or c in INVISIBLE)}


# -- the sanitizer


FORMS = [dict(zip(("lines", "cells", "ascii_only"), form)) for form in product((False, True), repeat=3)]


@given(text=st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Mn", "Cn", "Co"])))
@pytest.mark.parametrize("form", FORMS)
def test_sanitized_text_has_no_character_that_acts(text: str, form: dict[str, bool]) -> None:
    shown = sanitize(text, **form)
    assert not unsafe(shown)
    assert form["lines"] or not set(shown) & set("\n\t")
    assert sanitize(shown, **form) == shown
    assert not form["ascii_only"] or shown.isascii()
    assert not form["cells"] or len(shown) == len(text)


@pytest.fixture(scope="module")
def hostile() -> list[str]:
    """All characters that do something, or cannot be seen."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in kinds or c in INVISIBLE]


@pytest.mark.parametrize("form", FORMS)
def test_each_hostile_character_is_seen(form: dict[str, bool], hostile: list[str]) -> None:
    assert {*CONTROLS, *BIDI, *HIDDEN, "\0", "\udcff"} <= {*hostile}
    for c in hostile:
        shown = sanitize(f"a{c}b", **form)
        assert len(shown) > 2, ascii(c)
        assert c not in shown or (c in "\n\t" and form["lines"]), ascii(c)
    assert not unsafe(sanitize(SEQUENCES, **form))


def test_lines_and_letters_of_all_languages_stay() -> None:
    plain = "é naïve\n\tжизнь नमस्ते 日本語 🙂 ± – …"
    assert sanitize(plain, lines=True) == plain
    assert sanitize("a\nb\tc\r") == "a↵b→c␍"


@given(text=st.text() | st.text(st.characters(categories=["Cc", "Cf", "Mn"])))
def test_text_that_is_read_keeps_its_joiners_alone(text: str) -> None:
    shown = sanitize(text, lines=True, joiners=True)
    assert unsafe(shown) == set(text) & JOINERS


def test_persian_and_joined_emoji_stay_as_they_are_spelled() -> None:
    text = "می\u200cخواهم 👩\u200d🔬 ❤\ufe0f"
    assert sanitize(text, lines=True, joiners=True) == text
    assert not unsafe(sanitize(text, lines=True))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_json_is_the_same_data(text: str) -> None:
    for written in (json.dumps({"text": text}), json.dumps({"text": text}, ensure_ascii=False)):
        assert json.loads(escape_json(written)) == {"text": text}
        assert not unsafe(escape_json(written))


# -- the streams


class Screen(io.TextIOWrapper):
    """A stream that says whether it is a terminal, and keeps what it was given."""

    def __init__(self, terminal: bool) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", errors="surrogateescape", write_through=True, newline="")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode("utf-8", "surrogateescape")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], tuple[Screen, Screen]]]:
    """Put two streams in place of standard output and error."""

    def put(terminal: bool) -> tuple[Screen, Screen]:
        out, err = Screen(terminal), Screen(terminal)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    return put


@pytest.mark.parametrize("terminal", [False, True])
def test_whatever_writes_to_the_streams_is_sanitized(streams: Any, terminal: bool) -> None:
    out, err = streams(terminal)
    output.install()
    sys.stdout.write(HOSTILE)
    sys.stderr.writelines([f"a{HOSTILE}", f"b{HOSTILE}"])
    print(HOSTILE, file=sys.stderr)
    typer.echo(HOSTILE)
    assert not unsafe(out.text)
    assert not unsafe(err.text)


def test_a_bar_of_a_library_goes_back_to_the_start_of_its_line_on_a_terminal_alone(streams: Any) -> None:
    for terminal, written in ((True, "\rhalf␍done"), (False, "␍half␍done")):
        _, err = streams(terminal)
        output.install()
        sys.stderr.write("\rhalf\rdone")
        assert err.text == written


def test_data_is_verbatim_in_a_pipe_and_sanitized_on_a_terminal(streams: Any) -> None:
    for terminal, written in ((False, "a\x1b[2J\tb\u200c\nc\x9b"), (True, "a␛[2J\tb\u200c\nc\\x9b")):
        out, _ = streams(terminal)
        output.install()
        output.print_data("a\x1b[2J\tb\u200c\nc\x9b")
        assert out.text == written + "\n"


def test_an_error_is_one_line_but_for_what_is_indented(streams: Any) -> None:
    _, err = streams(False)
    output.print_error("there is no 'a\nremdm-tui: all is well':\n  steps: 3 -> 4\n  name: b\rc")
    assert err.text == "remdm-tui: there is no 'a↵remdm-tui: all is well':\n  steps: 3 -> 4\n  name: b␍c\n"


def test_rich_writes_its_own_escapes_and_no_one_elses(streams: Any) -> None:
    out, err = streams(True)
    output.install()
    rich = SafeConsole(force_terminal=True, color_system="standard", width=400)
    link = Text("seen", style="link http://a\x07\x1b]52;c;Y2xpcA==\x07")
    rich.print(Text(HOSTILE, style="bold red"), link, f"[bold]{SEQUENCES}[/]")
    assert "\x1b[1;31m" in out.text
    for sequence in ("\x1b]", "\x1b[2J", "\x1bP", "\x07", "\x9b", "\r", "\u202e", "\u200b"):
        assert sequence not in out.text, ascii(sequence)
    bar = Progress(
        TextColumn("{task.description}", markup=False), console=SafeConsole(stderr=True, force_terminal=True)
    )
    with bar:
        bar.add_task(SEQUENCES, total=3)
    for sequence in ("\x1b]", "\x1b[2J", "\x07", "\x9b"):
        assert sequence not in err.text, ascii(sequence)


# -- every command


def model_of(home: Path) -> Path:
    """Make a checkpoint whose kind is hostile."""
    model = home / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": HOSTILE}))
    return model


def config_of(home: Path) -> Path:
    """Make a training configuration with a hostile key."""
    config = home / "hostile.toml"
    config.write_text("".join((json.dumps(HOSTILE.replace("\udcff", "").replace("\udc9b", "")), " = 1\n")))
    return config


NAME = f"nothing{HOSTILE}".replace("/", "")
"""Of a file or directory that is not there."""

GIVEN: dict[str, Callable[[Path], list[list[str]]]] = {
    "watch": lambda home: [["--strategy", HOSTILE], ["--from", NAME], ["--break", HOSTILE]],
    "replay": lambda home: [[NAME]],
    "export": lambda home: [[NAME, "--out", NAME], [str(config_of(home)), "--out", f"a.{HOSTILE}"]],
    "new-strategy": lambda home: [[str(home / NAME / "mine.py")], [HOSTILE]],
    "sample": lambda home: [["--strategy", HOSTILE], ["--preset", HOSTILE], ["--model", str(model_of(home))]],
    "eval": lambda home: [["--out", NAME, "--sweep", f"{HOSTILE}=1"], ["--out", NAME, "--judge", "none", HOSTILE]],
    "perplexity": lambda home: [["--data", NAME], ["--data", NAME, "--conventions", HOSTILE]],
    "report": lambda home: [[NAME], [str(home), "--by", HOSTILE]],
    "doctor": lambda home: [["--model", str(model_of(home))], ["--model", NAME]],
    "serve": lambda home: [["--strategy", HOSTILE], ["--port", HOSTILE], ["--host", NAME, "--port", "99999"]],
    "engine": lambda home: [[HOSTILE]],
    "train": lambda home: [
        ["--config", str(config_of(home)), "--data", NAME, "--out", NAME],
        ["--config", NAME, "--data", NAME, "--out", NAME],
    ],
    "bench": lambda home: [[HOSTILE], ["--part", HOSTILE], ["--dtype", HOSTILE]],
    "train-head": lambda home: [["--data", NAME, "--out", NAME, "--model", NAME]],
    "lint": lambda home: [[NAME], [str(config_of(home))]],
    "import": lambda home: [[NAME, "--out", "a.remdm"], [str(config_of(home)), "--out", f"a.{HOSTILE}"]],
    "list": lambda home: [[HOSTILE]],
    "list strategies": lambda home: [[HOSTILE]],
    "list models": lambda home: [[HOSTILE]],
    "list presets": lambda home: [[HOSTILE]],
    "list keys": lambda home: [[], ["--json"], [HOSTILE]],
}
"""For each command, what makes it repeat a stranger's words."""


def commands() -> list[str]:
    """Return every registered command, those of groups with their group's name."""

    def below(group: Any, path: tuple[str, ...]) -> Iterator[str]:
        for name, command in getattr(group, "commands", {}).items():
            yield " ".join((*path, name))
            yield from below(command, (*path, name))

    return list(below(typer.main.get_command(app), ()))


def test_every_command_is_given_hostile_words() -> None:
    assert sorted(GIVEN) == sorted(commands())


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("command", commands())
def test_no_hostile_character_comes_out_of_a_command(
    streams: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, terminal: bool
) -> None:
    monkeypatch.setattr(watch, "has_terminal", lambda: True)
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "config" / "remdm-tui"
    settings.mkdir(parents=True)
    (settings / "config.toml").write_text('[keys]\n"\\u001b]0;title\\u0007\\u202e" = "q"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for words in (*GIVEN[command](tmp_path), [f"--{HOSTILE}"], [f"--{HOSTILE}=x"]):
        out, err = streams(terminal)
        monkeypatch.setattr(sys, "argv", ["remdm-tui", *command.split(), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert out.text + err.text
        # a note that waits may be on the terminal, with Rich's own escapes
        seen = unsafe(out.text + err.text) - ({"\x1b", "\r"} if terminal else set())
        assert not seen, (words, err.text)
        assert "\x1b]" not in out.text + err.text
        assert not [line for line in (out.text + err.text).splitlines() if line in FAKED], err.text
        assert ended.value.code == (0 if words in ([], ["--json"]) else 2)


FAKED = ("remdm-tui: all is well", "remdm-tui: fine")


# -- streams that are closed, full or not read


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    command = " ".join(f"'{word}'" for word in COMMAND)
    return subprocess.run(
        ["sh", "-c", line.replace("remdm-tui", command)], capture_output=True, timeout=120, env=ENVIRONMENT
    )  # fmt: skip


def test_without_standard_error_the_result_is_on_standard_output() -> None:
    done = shell("exec remdm-tui list models 2>&- <&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"demo" in done.stdout


@pytest.mark.parametrize("command", ["list models", "sample --steps 1 --length 2 --count 1", "--help", "list --help"])
def test_without_standard_output_a_sentence_says_so(command: str) -> None:
    done = shell(f"exec remdm-tui {command} >&-")
    assert done.returncode == 2
    assert done.stderr == b"remdm-tui: standard output: it is closed, and the result goes there\n"


def words_of(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command and of all below it."""
    yield words
    for name, one in getattr(command, "commands", {}).items():
        yield from words_of(one, *words, name)


@pytest.mark.parametrize("words", list(words_of(typer.main.get_command(app))), ids=" ".join)
def test_no_help_is_lost_without_a_word(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", output.MissingOutput())
    with pytest.raises(SystemExit) as ended:
        app([*words, "--help"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "remdm-tui: standard output: it is closed, and the result goes there\n"


def test_without_any_stream_a_file_is_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    assert shell(f"exec remdm-tui new-strategy {file} <&- >&- 2>&-").returncode == 0
    assert "class" in file.read_text()
    assert "standard" not in file.read_text().split("class")[0]


@pytest.mark.parametrize("command", ["watch", "replay run.remdm"])
def test_without_standard_input_there_is_no_terminal(command: str) -> None:
    done = shell(f"exec remdm-tui {command} <&-")
    assert done.returncode == 2
    assert b"needs a terminal" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
@pytest.mark.parametrize("command", ["list presets", "--version", "--help"])
def test_a_full_device_is_a_sentence(command: str) -> None:
    done = shell(f"exec remdm-tui {command} >/dev/full")
    assert done.returncode == 2
    assert done.stderr == b"remdm-tui: standard output: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_file_that_ended_too_early_is_no_bare_aborted() -> None:
    with pytest.raises(RuntimeError, match="a file ended too early: marshal data too short"), errors_as_sentences():
        raise EOFError("marshal data too short")


def test_errors_that_cannot_be_written_change_nothing() -> None:
    assert shell("exec remdm-tui list models 2>/dev/full").returncode == 0
    assert shell("exec remdm-tui export nothing --out x.txt 2>/dev/full").returncode == 2


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    done = shell("{ remdm-tui list presets; echo status $? >&2; } | true")
    assert done.stderr == b"status 0\n"


# -- signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_any_command_that_is_ended_reports_it(
    streams: Any, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    def printed_models(as_json: bool) -> str:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal did nothing")

    monkeypatch.setattr("remdm_tui.commands.listing.models", printed_models)
    monkeypatch.setattr(sys, "argv", ["remdm-tui", "list", "models"])
    _, err = streams(False)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, err.text) == (status, "remdm-tui: stopped\n")
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
