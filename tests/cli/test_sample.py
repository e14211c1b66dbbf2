"""`sample`: what it writes, where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from engine.models import load_model
from engine.sampling.batch import sample
from engine.strategies import make_strategy
from remdm_tui.commands.sample import SEPARATOR
from tests import forks
from tests.cli.conftest import COMMAND, ENVIRONMENT, SMALL
from tests.waiting import PATIENCE


def rows(output: str) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in output.splitlines()), key=lambda row: row["number"])


def test_json_is_what_the_engine_samples(cli: Callable[..., Any]) -> None:
    found = rows(cli("sample", *SMALL, "--count", "3", "--seed", "7", "--json").stdout)
    model = load_model("demo")
    expected = sample(model, make_strategy("remdm-cap"), steps=3, length=6, count=3, seed=7, top_p=0.9).tolist()
    assert [row["ids"] for row in found] == expected
    assert [row["text"] for row in found] == [model.codec.decode(ids) for ids in expected]


def test_json_says_every_setting(cli: Callable[..., Any]) -> None:
    (row,) = rows(cli("sample", *SMALL, "--count", "1", "--eta", "0.1", "--device", "cpu", "--json").stdout)
    assert set(row) == {"number", "seed", "text", "ids", "network_calls", "settings"}
    assert row["settings"] == {
        "model": "demo", "device": "cpu", "dtype": "float32", "steps": 3, "length": 6, "prompt": "", "chat": False,
        "infill": False, "block_length": None, "stride": None, "strides": 0,
        "strategy": "remdm-cap", "top_p": 0.9, "temperature": 1.0, "nucleus": "exclusive", "draw": "inverse-cdf",
            "cfg": 0.0, "eos_bias": 0.0, "eos_confidence": "kept",
        "knobs": {"eta": 0.1, "when": "always", "t_switch": 0.5, "t_on": 0.55, "t_off": 0.05, "alpha_on": 0.9},
    }  # fmt: skip


def test_the_batch_does_not_change_the_text(cli: Callable[..., Any]) -> None:
    one, three = (cli("sample", *SMALL, "--count", "3", "--batch", n, "--json").stdout for n in ("1", "3"))
    assert [row["ids"] for row in rows(one)] == [row["ids"] for row in rows(three)]


def test_the_prompt_begins_the_text(cli: Callable[..., Any]) -> None:
    assert cli("sample", *SMALL, "--count", "1", "--prompt", "It was").stdout.startswith("It was")


def test_masks_of_a_prompt_are_filled_and_literal_ones_are_letters(cli: Callable[..., Any]) -> None:
    given = ("sample", "--steps", "4", "--length", "12", "--count", "1", "--device", "cpu")
    filled = cli(*given, "--prompt", "The old [MASK] sat by {mask*2} fire").stdout
    assert filled.startswith("The old")
    assert " sat by" in filled
    assert " fire" in filled
    assert "MASK" not in filled.upper()
    assert cli(*given, "--prompt-literal", "The [MASK]").stdout.startswith("The [MASK]")


def test_a_line_is_between_samples_and_nowhere_else(cli: Callable[..., Any]) -> None:
    texts = [row["text"] for row in rows(cli("sample", *SMALL, "--batch", "1", "--count", "2", "--json").stdout)]
    plain = cli("sample", *SMALL, "--batch", "1", "--count", "2").stdout
    assert plain == f"{texts[0]}\n{SEPARATOR}\n{texts[1]}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "nope"], "unknown model 'nope'"),
        (["--length", "257"], "length 257 is beyond the model's 256"),
        (["--preset", "owt-mdlm"], "length 1024 is beyond the model's 256"),
        (["--length", "2", "--prompt", "It was the best of times"], "the prompt has"),
        (["--length", "4", "--prompt", "It {mask*8} times"], "the prompt has 10 tokens and the canvas 4"),
        (["--prompt", "It {mask*0}"], "'{mask*0}' in the prompt is not a mask"),
        (["--prompt", "a", "--prompt-literal", "b"], "take either --prompt or --prompt-literal, not both"),
        (["--dtype", "nope"], "unknown dtype 'nope'"),
        (["--device", "nope"], "no device 'nope' here"),
        (["--count", "0"], "count must be at least 1, not 0"),
        (["--strategy", "nope"], "unknown strategy 'nope'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(cli: Callable[..., Any], arguments: list[str], reason: str) -> None:
    result = cli("sample", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"remdm-tui: {reason}")
    assert result.stderr.count("\n") == 1


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    process = forks.start(
        forks.MAIN, ["sample", *SMALL, "--count", "100000", "--batch", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(120) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_one_line_after_what_was_finished(number: signal.Signals, status: int) -> None:
    process = forks.start(
        forks.MAIN, ["sample", *SMALL, "--count", "100000", "--batch", "1", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    process.send_signal(number)
    out, complaint = process.communicate(timeout=120)
    assert complaint == b"remdm-tui: stopped\n"
    assert process.returncode == status
    assert all(json.loads(line) for line in out.splitlines())


def test_progress_on_a_terminal_stays_out_of_the_pipe() -> None:
    ours, theirs = pty.openpty()
    process = forks.start(
        forks.MAIN, ["sample", *SMALL, "--count", "1", "--json"], stdout=subprocess.PIPE, stderr=theirs,
        env={**ENVIRONMENT, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    assert json.loads(process.communicate(PATIENCE)[0])["number"] == 0
    assert process.returncode == 0
    assert b"loading demo" in os.read(ours, 65536)
    os.close(ours)


def test_watch_without_a_terminal_names_the_way_for_pipes(cli: Callable[..., Any]) -> None:
    result = cli("watch")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "remdm-tui: watch needs a terminal for its input and output; in a pipe use `remdm-tui sample`\n"
    )


def test_watch_tells_of_a_bad_option_before_it_takes_the_screen() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "watch", "--eta", "2"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=ENVIRONMENT,
        check=False,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stderr) == (2, b"remdm-tui: eta must lie in 0 to 1, not 2.0\n")
