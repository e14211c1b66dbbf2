"""`perplexity`: its figures, how it is shown, how it is interrupted and gone on with, and what it refuses."""

from __future__ import annotations

import errno
import importlib.util
import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.data.texts import load_texts
from engine.evaluation import perplexity as evaluation
from engine.evaluation.identity import identity
from engine.evaluation.model_rows import is_own, model_rows
from engine.evaluation.perplexity import PerplexityOptions, PerplexityProgress
from engine.evaluation.scores import Scores
from engine.files.atomic import writable
from engine.files.checksums import known, mismatch
from engine.files.fingerprint import fingerprint
from engine.files.locks import acquire
from engine.metrics.conventions import conventions
from engine.metrics.likelihood import likelihood
from engine.metrics.rule_likelihood import DecodingRule, rule_scores
from engine.models import TextModel, checkpoint, load_model
from engine.models.dit import DIT, DITConfig
from engine.records import ModelChoice
from engine.strategies import make_strategy, values
from engine.training.data import prepare
from remdm_tui.commands.perplexity import ScoringReport, run, running_figures, stopped
from remdm_tui.commands.progress import PlainLines
from tests import forks
from tests.cli.conftest import ENVIRONMENT
from tests.engine.texts import VOCABULARY, write_texts
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
CARD = ROOT / "engine" / "models" / "demo" / "README.md"
LENGTH = 16
SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from engine.records import ModelChoice
from engine.strategies import make_strategy
from remdm_tui.commands.perplexity import run
model, data, out, *more = sys.argv[1:]
sys.exit(run(ModelChoice(model, "cpu", "float32"), [data], out=Path(out), batch=2, windows=400, quiet="quiet" in more))
"""


DYING = """
from engine.evaluation.scores import Scores
import os, signal
def killed(self, scores, add=Scores.add):
    add(self, scores)
    if len(self.known) == 20:
        self._file.write(b'{"conventions":"sta')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
Scores.add = killed
"""
"""Before a script: it is killed in the line after the twentieth row."""
INTERRUPTED = """
from engine.evaluation.scores import Scores
import os, signal
def interrupted(self, scores, add=Scores.add):
    add(self, scores)
    if len(self.known) == 20:
        os.kill(os.getpid(), signal.SIGINT)
Scores.add = interrupted
"""
"""Before a script: it is interrupted after the twentieth row."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nonsense.jsonl, a model with the tokenizer of a training on it, and one with a tokenizer like GPT-2's."""
    home = tmp_path_factory.mktemp("perplexity")
    corpus = prepare([write_texts(home)], VOCABULARY, home / "cache")
    size = corpus.tokenizer.get_vocab_size()
    spelt = json.loads(corpus.tokenizer.to_str())
    spelt["added_tokens"] = [token for token in spelt["added_tokens"] if token["content"] != MASK]
    for name, tokenizer in (("own", corpus.tokenizer.to_str()), ("other", json.dumps(spelt))):
        torch.manual_seed(5)
        config = DITConfig(size, 24, 2, 3, 8, LENGTH, size - 1)
        model = DIT(config)
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.2)
        checkpoint.export_model(model, tokenizer, home / name)
    assert Tokenizer.from_file(str(home / "other" / "tokenizer.json")).get_vocab_size() == size - 1
    return home


def model_of(home: Path, name: str = "own") -> TextModel:
    return load_model(str(home / name), "cpu", "float32")


def score(home: Path, *data: str, name: str = "own", **more: Any) -> int:
    return run(ModelChoice(str(home / name), "cpu", "float32"), [str(home / one) for one in data], **more)


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def progress_at(done: int, *, total: int = 40, kept: int = 0, batch: int = 8) -> PerplexityProgress:
    return PerplexityProgress("standard", done, total, 2.0, kept, batch)


# -- rows


def test_a_model_trained_here_reads_windows_of_its_training_stream(home: Path) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    corpus = prepare([home / "nonsense.jsonl"], VOCABULARY, home / "cache")
    rows = model_rows(model, texts, windows=9)
    assert is_own(model.codec)
    assert (rows.layout, rows.start) == ("windows", None)
    assert np.array_equal(rows.tokens, corpus.spread("validation", LENGTH, 9))
    assert rows.description.startswith("Rows are 9 windows of 16 tokens at even offsets of the text's ")


def test_typography_is_unified_for_a_model_trained_here_and_left_alone_for_others(home: Path, tmp_path: Path) -> None:
    straight, curly = 'it\'s "so" - a b c d e f g h i j', "it’s “so” ‐ a b c d e f g h i j"
    rows = {}
    for name in ("own", "other"):
        for spelling, text in (("straight", straight), ("curly", curly)):
            (tmp_path / "text.txt").write_text(text, encoding="utf-8")
            found = model_rows(
                model_of(home, name), load_texts(str(tmp_path / "text.txt")), layout="windows", windows=1
            )
            rows[name, spelling] = found.tokens.tolist()
    assert rows["own", "curly"] == rows["own", "straight"]
    assert rows["other", "curly"] != rows["other", "straight"]


def test_any_other_model_reads_wrapped_rows(home: Path) -> None:
    model, texts = model_of(home, "other"), load_texts(str(home / "nonsense.jsonl"))
    end = model.codec.encode(END_OF_TEXT, special=True)[0]
    rows = model_rows(model, texts)
    joined = [i for text in texts.texts for i in (*model.codec.encode(text), end)]
    assert (rows.layout, rows.start) == ("wrap", end)
    assert (rows.tokens[:, 0] == end).all()
    assert (rows.tokens[:, -1] == end).all()
    assert rows.tokens[:, 1:-1].flatten().tolist() == joined[: len(rows.tokens) * (LENGTH - 2)]
    assert "wrapped: start token, 14 tokens and end token" in rows.description


def test_windows_lie_side_by_side_unless_more_are_requested(home: Path) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    some, many = model_rows(model, texts), model_rows(model, texts, windows=500)
    assert len(some.tokens) < 100 < len(many.tokens) == 500
    assert "which overlap" not in some.description
    assert "which overlap" in many.description
    few = model_rows(model, texts, limit=3)
    assert np.array_equal(few.tokens, some.tokens[:3])
    assert f"the first 3 of {len(some.tokens)}" in few.description


# -- the figure


def test_the_figures_are_those_of_the_metric(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(home, "nonsense.jsonl", windows=12, conventions="both", as_json=True, seed=3) == 0
    found = printed(capsys)
    model = model_of(home)
    rows = model_rows(model, load_texts(str(home / "nonsense.jsonl")), windows=12).tokens
    for how in ("standard", "reference"):
        expected, measured = likelihood(model, rows, how, seed=3), found["conventions"][how]
        for name, figure in (("nll", expected.nats), ("bpd", expected.bits), ("ppl", expected.perplexity)):
            assert measured[name]["value"] == pytest.approx(figure.value, rel=1e-12)
            assert measured[name]["low"] == pytest.approx(figure.low, rel=1e-12)
            assert measured[name]["high"] == pytest.approx(figure.high, rel=1e-12)
        assert (measured["kind"], measured["rows"], measured["tokens"]) == ("bound", 12, 12 * LENGTH)
        assert expected.conventions.decisions["masking"] in measured["sentences"]
        assert expected.conventions.decisions["times"] in measured["sentences"]
    assert found["primary"] == "standard"
    assert found["ppl"] == found["conventions"]["standard"]["ppl"]["value"]
    assert found["bpd"] == pytest.approx(found["nll"] / math.log(2))


def test_text_and_json_say_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(home, "nonsense.jsonl", windows=5, as_json=True, quiet=True)
    measured = printed(capsys)["conventions"]["standard"]
    score(home, "nonsense.jsonl", windows=5, quiet=True)
    out, err = capsys.readouterr()
    assert f"{measured['nll']['value']:.4f} ({measured['nll']['low']:.4f} to {measured['nll']['high']:.4f}) nats" in out
    assert f"perplexity {measured['ppl']['value']:.2f} (" in out
    assert all(sentence in out for sentence in measured["sentences"])
    assert "upper bound (SUBS) over 5 rows, with 95% intervals" in out
    assert err == ""


def test_wrapped_rows_say_how_documents_were_joined(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(home, "nonsense.jsonl", wrap=True, limit=4, conventions="both", as_json=True)
    found = printed(capsys)["conventions"]
    assert any("1,000 at a time" in sentence for sentence in found["reference"]["sentences"])
    assert any("all at once" in sentence for sentence in found["standard"]["sentences"])


# -- under a deterministic strategy


def test_a_strategy_adds_the_exact_likelihood_and_its_network_calls(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"windows": 5, "strategy": "low-confidence", "steps": 8, "block_length": 4, "quiet": True}
    score(home, "nonsense.jsonl", as_json=True, **more)
    found = printed(capsys)
    model = model_of(home)
    rows = model_rows(model, load_texts(str(home / "nonsense.jsonl")), windows=5).tokens
    exact = rule_scores(model, DecodingRule(make_strategy("low-confidence"), 8, 4), rows)
    assert found["rule"]["nll"]["value"] == pytest.approx(exact.nats.mean() / LENGTH)
    assert (found["rule"]["kind"], found["rule"]["network_calls"], found["rule"]["tokens"]) == ("exact", 40, 80)
    assert found["settings"]["rule"] == {
        "strategy": "low-confidence", "knobs": values(make_strategy("low-confidence")), "steps": 8, "block_length": 4,
    }  # fmt: skip
    score(home, "nonsense.jsonl", **more)
    out = capsys.readouterr().out
    assert "exact under low-confidence, 8 steps, over 5 rows, with 95% intervals\n" in out
    assert f"{found['rule']['nll']['value']:.4f} (" in out
    assert "The network was called 40 times, 8.0 a row." in out
    score(home, "nonsense.jsonl", windows=5, as_json=True, quiet=True)
    plain = printed(capsys)
    assert plain["conventions"] == found["conventions"]
    assert "rule" not in plain
    assert "rule" not in plain["settings"]


def test_exact_scores_are_kept_and_gone_on_with(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"windows": 6, "strategy": "left-to-right", "quiet": True, "out": tmp_path, "batch": 2}
    score(home, "nonsense.jsonl", **more)
    kept = (tmp_path / "scores.jsonl").read_bytes()
    (tmp_path / "scores.jsonl").write_bytes(b"".join(kept.splitlines(keepends=True)[:8]))
    score(home, "nonsense.jsonl", **more)
    assert (tmp_path / "scores.jsonl").read_bytes() == kept
    with pytest.raises(ValueError, match=r"rule was .*left-to-right.* and is .*low-confidence"):
        score(home, "nonsense.jsonl", **more | {"strategy": "low-confidence"})


def test_scores_of_another_version_of_a_rule_are_not_gone_on_with(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"windows": 2, "strategy": "left-to-right", "quiet": True, "out": tmp_path}
    monkeypatch.setattr("engine.evaluation.perplexity.source_digest", lambda name: "one")
    score(home, "nonsense.jsonl", **more)
    monkeypatch.setattr("engine.evaluation.perplexity.source_digest", lambda name: "another")
    with pytest.raises(ValueError, match=r"rule was .*source.*one.* and is .*source.*another"):
        score(home, "nonsense.jsonl", **more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"strategy": "mdlm"},
            "mdlm reveals by chance, so that no text has an exact likelihood: choose low-confidence",
        ),
        ({"strategy": "nosuch"}, "unknown strategy 'nosuch'"),
        ({"steps": 3}, "--knob, --steps and --block-length are a strategy's: give --strategy"),
        ({"strategy": "low-confidence", "knobs": ["a"]}, "a knob is given as name=value"),
        ({"strategy": "low-confidence", "steps": 2, "block_length": 2}, "2 steps cannot be shared out over 8 blocks"),
    ],
)
def test_what_gives_no_exact_likelihood_is_refused(more: dict[str, Any], message: str, home: Path) -> None:
    with pytest.raises(ValueError, match=message):
        score(home, "nonsense.jsonl", windows=2, quiet=True, **more)


# -- the model card


def model_card() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_card", ROOT / "scripts" / "model_card.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_a_model_card_says_what_the_command_prints(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = model_card().bound(model_of(home), [home / "nonsense.jsonl"])
    score(home, "nonsense.jsonl")
    out = capsys.readouterr().out
    assert card["bound"] in out.splitlines()
    assert card["sentences"].replace("\n", " ") == " ".join(line.strip() for line in out.splitlines()[4:])
    assert card["command"] == f"{model_card().COMMAND.format(model='demo')} --data nonsense.jsonl"


def test_the_demo_models_card_names_the_command_and_its_line() -> None:
    """The corpus is not in the repository, so the figure itself is checked where the card is written."""
    text = CARD.read_text(encoding="utf-8")
    assert f"\n    {model_card().COMMAND.format(model='demo')} --data demo.jsonl.gz\n" in text
    row = next(line for line in text.splitlines() if line.startswith("| validation bound |"))
    figure = r"(\d+\.\d+) \((\d+\.\d+) to (\d+\.\d+)\)"
    found = re.search(rf"\| {figure} nats a token, {figure} bits a token, perplexity {figure} \|$", row)
    assert found is not None
    nats, low, high, bits, *_, perplexity, _, _ = map(float, found.groups())
    assert low < nats < high
    assert bits == pytest.approx(nats / math.log(2), abs=1e-4)
    assert perplexity == pytest.approx(math.exp(nats), rel=1e-3)
    plain_text = " ".join(text.split())
    decisions = conventions("standard").decisions
    assert all(decisions[name] in plain_text for name in ("times", "masking", "intervals"))


# -- kept scores


def test_a_named_pipe_in_the_place_of_the_scores_is_named(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.jsonl")
    with pytest.raises(ValueError, match=r"scores\.jsonl is a named pipe, not a regular file"):
        score(home, "nonsense.jsonl", out=tmp_path, limit=1)


def test_a_killed_run_goes_on_and_ends_with_the_same_files(home: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    data, model = str(home / "nonsense.jsonl"), str(home / "own")
    assert score(home, "nonsense.jsonl", out=whole, batch=2, windows=400, quiet=True) == 0
    done = forks.run(DYING + SCRIPT, [model, data, str(killed), "quiet"], env=ENVIRONMENT)
    assert done.returncode == -signal.SIGKILL
    assert 0 < size(killed) < size(whole)
    assert score(home, "nonsense.jsonl", out=killed, batch=2, windows=400, quiet=True) == 0
    for name in ("scores.jsonl", "perplexity.json", "perplexity.settings.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def size(home: Path) -> int:
    path = home / "scores.jsonl"
    return path.stat().st_size if path.exists() else 0


def test_half_a_line_and_the_rest_of_its_batch_are_done_again(home: Path, tmp_path: Path) -> None:
    assert score(home, "nonsense.jsonl", out=tmp_path, batch=4, windows=12, quiet=True) == 0
    scores, result = ((tmp_path / name).read_bytes() for name in ("scores.jsonl", "perplexity.json"))
    lines = scores.splitlines(keepends=True)
    (tmp_path / "scores.jsonl").write_bytes(b"".join(lines[:6]) + lines[6][:9])
    done: list[PerplexityProgress] = []
    evaluation.perplexity(
        model_of(home), load_texts(str(home / "nonsense.jsonl")),
        PerplexityOptions(windows=12, layout="windows", weights=identity(ModelChoice(str(home / "own")))),
        batch=4, out=tmp_path, report=done.append,
    )  # fmt: skip
    assert [(one.done, one.kept) for one in done] == [(8, 4), (12, 4)]
    assert (tmp_path / "scores.jsonl").read_bytes() == scores
    assert (tmp_path / "perplexity.json").read_bytes() == result


def test_a_finished_run_is_read_and_not_computed_again(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for _ in range(2):
        score(home, "nonsense.jsonl", out=tmp_path, windows=4)
        outputs.append(capsys.readouterr())
    assert outputs[0].out == outputs[1].out
    assert "row 4 of 4" in outputs[0].err
    assert outputs[1].err == ""


def test_other_settings_in_an_old_directory_are_refused_with_what_differs(home: Path, tmp_path: Path) -> None:
    score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)
    with pytest.raises(ValueError, match=r"holds scores of other settings: .*rows was .*4.* and is .*5") as error:
        score(home, "nonsense.jsonl", out=tmp_path, windows=5, quiet=True)
    assert "seed" not in str(error.value)
    with pytest.raises(ValueError, match="seed was 1 and is 2; choose another --out"):
        score(home, "nonsense.jsonl", out=tmp_path, windows=4, seed=2, quiet=True)


@pytest.mark.parametrize("name", ["bound", "decisions"])
def test_scores_by_another_bound_or_other_decisions_are_refused(name: str, home: Path, tmp_path: Path) -> None:
    score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)
    path = tmp_path / "perplexity.settings.json"
    settings = json.loads(path.read_text())
    del settings[name]
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=f"{name} was not there and is .*choose another --out"):
        score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)


def test_a_model_trained_on_is_another_model(home: Path, tmp_path: Path) -> None:
    before = fingerprint(home / "own")
    (tmp_path / "model").mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / "model" / name).write_bytes((home / "own" / name).read_bytes())
    (tmp_path / "model" / "README.md").write_text("a card is no weight")
    assert fingerprint(tmp_path / "model") == before
    weights = bytearray((home / "own" / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model" / "model.safetensors").write_bytes(weights)
    assert fingerprint(tmp_path / "model") != before


def test_one_digit_of_a_score_is_seen(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(home, "nonsense.jsonl", out=tmp_path, windows=4, batch=1, quiet=True)
    scores = (tmp_path / "scores.jsonl").read_bytes()
    lines = scores.splitlines(keepends=True)
    at = lines[2].index(b'"nats":') + len(b'"nats":')
    changed = lines[2][:at] + bytes([lines[2][at] ^ 1]) + lines[2][at + 1 :]
    (tmp_path / "scores.jsonl").write_bytes(b"".join((*lines[:2], changed, lines[3])))
    assert score(home, "nonsense.jsonl", out=tmp_path, windows=4, batch=1, quiet=True) == 0
    assert "scores.jsonl, line 3 is damaged (it does not match its checksum)" in capsys.readouterr().err
    assert (tmp_path / "scores.jsonl").read_bytes() == scores


def test_two_runs_in_one_directory_are_refused(home: Path, tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    with pytest.raises(ValueError, match="another run is at work in"):
        score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)
    lock.release()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("nonsense\n", "line 3 is damaged"),
        ('{"conventions":"standard","row":3,"nats":1.0,"tokens":16}\n', "line 3 is out of place"),
        ('{"conventions":"none","row":2,"nats":1.0,"tokens":16}\n', "line 3 is out of place"),
    ],
)
def test_a_damaged_line_of_scores_is_named_and_made_again(
    home: Path, tmp_path: Path, content: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    score(home, "nonsense.jsonl", out=tmp_path, windows=4, batch=1, quiet=True)
    scores, result = ((tmp_path / name).read_bytes() for name in ("scores.jsonl", "perplexity.json"))
    lines = scores.splitlines(keepends=True)
    (tmp_path / "scores.jsonl").write_bytes(b"".join((*lines[:2], content.encode(), lines[3])))
    assert score(home, "nonsense.jsonl", out=tmp_path, windows=4, batch=1, quiet=True) == 0
    assert f"scores.jsonl, {reason}" in capsys.readouterr().err
    assert (tmp_path / "scores.jsonl").read_bytes() == scores
    assert (tmp_path / "perplexity.json").read_bytes() == result
    assert not mismatch(tmp_path / "perplexity.json")
    assert known(tmp_path / "perplexity.json")


def test_scores_without_their_settings_are_refused(home: Path, tmp_path: Path) -> None:
    score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)
    (tmp_path / "perplexity.settings.json").unlink()
    with pytest.raises(ValueError, match=r"has no perplexity\.settings\.json: choose"):
        score(home, "nonsense.jsonl", out=tmp_path, windows=4, quiet=True)


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        store = Scores((), full)
        with pytest.raises(OSError, match="No space left on device") as error:
            store.add([evaluation.RowScore("standard", 0, 1.0, 16)])
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "/dev/full")


# -- interruption and progress


def test_an_interrupt_says_how_to_go_on_and_keeps_what_is_done(home: Path, tmp_path: Path) -> None:
    words = [str(home / "own"), str(home / "nonsense.jsonl"), str(tmp_path)]
    done = forks.run(INTERRUPTED + SCRIPT, words, env=ENVIRONMENT)
    first, *_, last = done.stderr.splitlines()
    # the last batch is kept before it is reported
    assert (done.returncode, done.stdout) == (130, "")
    assert first.startswith("row 2 of 400  standard: ")
    assert last == f"remdm-tui: stopped after 18 of 400 rows, kept in {tmp_path}; the same command continues"
    assert (tmp_path / "scores.jsonl").read_bytes().count(b"\n") == 20


def test_what_an_interrupt_says_depends_on_where_scores_are_kept() -> None:
    assert stopped(None, None) == "stopped; with --out DIR the rows are kept, and the same command continues"
    assert stopped(None, progress_at(8)).startswith("stopped after 8 of 40 rows; with --out")
    assert stopped(Path("x"), None) == "stopped; the same command continues with what x holds"
    assert stopped(Path("x"), progress_at(8)) == "stopped after 8 of 40 rows, kept in x; the same command continues"


def test_a_terminal_gets_a_bar_with_the_running_figure_and_the_result_alone_goes_to_the_pipe(
    home: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    words = [str(home / "own"), str(home / "nonsense.jsonl"), str(tmp_path)]
    environment = {**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "160"}
    process = forks.start(SCRIPT, words, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how a terminal without a writer ends
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert b"nats a token, perplexity" in shown
    assert b"400/400" in shown
    assert out.decode().startswith(str(home / "own"))


def test_plain_lines_come_every_so_often_with_the_time_left() -> None:
    times, plain_text = iter([0.0, 1.0, 12.0, 13.0, 14.0]), []
    report = ScoringReport(PlainLines(plain_text.append, lambda: next(times)))
    for one in (
        progress_at(8, kept=4),
        progress_at(16),
        progress_at(24),
        progress_at(32, batch=4),
        progress_at(40, batch=4),
    ):
        report.update(one)
    assert plain_text == [
        "continuing after 4 of 40 rows",
        f"row 8 of 40  {running_figures(progress_at(8))}",
        f"row 24 of 40  {running_figures(progress_at(8))}  0:00:12 left",
        "out of memory: continuing with 4 rows at a time",
        f"row 40 of 40  {running_figures(progress_at(8))}  0:00:00 left",
    ]
    assert running_figures(progress_at(8)) == "standard: 2.0000 nats a token, perplexity 7.4"


def test_a_device_out_of_memory_halves_the_batch_and_changes_no_figure(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    expected = evaluation.perplexity(model, texts, PerplexityOptions(windows=6), batch=2)
    encode = model.network.encode

    def small(tokens: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(tokens, t)

    monkeypatch.setattr(model.network, "encode", small)
    done: list[PerplexityProgress] = []
    assert evaluation.perplexity(model, texts, PerplexityOptions(windows=6), batch=8, report=done.append) == expected
    assert [one.batch for one in done] == [2, 2, 2]


# -- bad input


@pytest.mark.parametrize(
    ("data", "more", "reason"),
    [
        ("nowhere.txt", {}, "there is no file or directory"),
        ("nonsense.jsonl", {"split": "test"}, "has no split 'test': choose train, validation"),
        ("blank.txt", {}, r"blank\.txt holds no text"),
        ("short.txt", {"windows": 3}, "the text has 4 tokens: a window needs 16"),
        ("short.txt", {"wrap": True}, "the text has 2 tokens: a row of 16 needs 14"),
        ("nonsense.jsonl", {"wrap": True, "windows": 3}, "give --wrap or --windows, not both"),
        ("nonsense.jsonl", {"conventions": "paper"}, "choose standard, reference, both"),
        ("nonsense.jsonl", {"length": 17}, "rows of 17 tokens are too long: .* takes 16 at most"),
        ("nonsense.jsonl", {"length": 2, "wrap": True}, "a row needs at least 3 tokens"),
        ("nonsense.jsonl", {"limit": 0}, "limit must be at least 1, not 0"),
        ("nonsense.jsonl", {"windows": 0}, "windows must be at least 1, not 0"),
        ("nonsense.jsonl", {"batch": 0}, "batch must be at least 1, not 0"),
    ],
)
def test_bad_input_is_one_sentence(home: Path, data: str, more: dict[str, Any], reason: str) -> None:
    (home / "blank.txt").write_text(" \n")
    (home / "short.txt").write_text("a")
    with pytest.raises(ValueError, match=reason) as error:
        score(home, data, quiet=True, **more)
    assert "\n" not in str(error.value)


def test_an_unknown_model_is_reported_before_anything_is_read(home: Path) -> None:
    with pytest.raises(ValueError, match="unknown model 'nope'"):
        run(ModelChoice("nope"), [str(home / "nowhere.txt")])


def test_a_directory_that_cannot_be_written_is_reported_before_the_data_is_read(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/out cannot be written in: Not a directory; choose another --out"):
        score(home, "nowhere.txt", out=tmp_path / "file" / "out")
    writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_network_that_gives_nan_is_reported_by_its_row_and_loses_nothing(home: Path, tmp_path: Path) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    rows = model_rows(model, texts, windows=6).tokens
    only = next(int(token) for token in rows[4] if not (rows[:4] == token).any())
    model.network.embedding[only] = torch.nan
    with pytest.raises(ValueError, match="the network gives NaN for sequence 4"):
        evaluation.perplexity(model, texts, PerplexityOptions(windows=6, seed=2), batch=2, out=tmp_path)
    assert (tmp_path / "scores.jsonl").read_bytes().count(b"\n") == 4


def test_rows_that_are_not_the_models_are_reported_before_any_is_scored(home: Path) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    last = int(model_rows(model, texts, windows=6).tokens[5, 3])
    model.mask_id = last
    done: list[PerplexityProgress] = []
    with pytest.raises(ValueError, match=f"rows hold the mask, token {last}, which is not text"):
        evaluation.perplexity(model, texts, PerplexityOptions(windows=6), batch=1, report=done.append)
    assert done == []


def test_a_row_held_for_impossible_has_no_perplexity(home: Path) -> None:
    model, texts = model_of(home), load_texts(str(home / "nonsense.jsonl"))
    project = model.network.project
    model.network.project = lambda hidden: project(hidden).index_fill(1, torch.arange(1, 200), -torch.inf)
    with pytest.raises(ValueError, match="gives row 0, counted from 0, probability 0"):
        evaluation.perplexity(model, texts, PerplexityOptions(windows=2))
