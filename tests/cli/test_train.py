"""`train`: a run from data to a model that can be sampled, interrupted and continued on the way."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.files.checkpoint_files import write_state
from engine.files.locks import exclusive
from engine.models import load_model
from engine.training.config import TrainConfig, TrainProgress
from engine.training.precision import has_bfloat16
from engine.training.workers import SingleWorker
from remdm_tui.commands.progress import PlainLines, Silent
from remdm_tui.commands.train import prepared
from remdm_tui.commands.train_log import continued
from remdm_tui.commands.train_progress import ProgressReading, TrainingReport, smoothed, step_figures
from remdm_tui.commands.train_stop import stopping
from tests import forks
from tests.cli.conftest import ENVIRONMENT


def progress(step: int, loss: float = 1.0, validation: float | None = None) -> TrainProgress:
    return TrainProgress(step, 10, loss, 1.0, 1e-3, 100.0, validation, validation, saved=False)


def test_a_run_ends_in_a_model_of_its_best_averages(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    result = cli(*training)
    assert result.exit_code == 0, result.output
    out = tmp_path / "runs" / "tiny"
    model = load_model(str(out / "model"), "cpu")
    best = torch.load(out / "best.pt", weights_only=True)["ema"]["vocab_embed.embedding"]
    assert torch.equal(model.network.embedding.float(), best.bfloat16().float())
    assert cli("sample", "--model", str(out / "model"), "--length", "12", "--steps", "2").exit_code == 0


def test_the_log_has_a_line_a_step_and_the_cache_lies_beside_the_run(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    cli(*training)
    lines = (tmp_path / "runs" / "tiny" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [json.loads(line)["validation"] is not None for line in lines] == [False, False, True] * 2
    assert list((tmp_path / "runs" / "cache").glob("*/tokenizer.json"))


def test_a_finished_run_goes_on_with_more_steps(cli: Callable[..., Any], training: list[str]) -> None:
    cli(*training)
    output = cli(*training, "--steps", "8").output
    assert "continuing from step 6" in output
    assert "step 8/8" in output


def test_a_second_run_is_refused_before_anything_is_loaded(
    cli: Callable[..., Any], training: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loading(*given: object) -> None:
        raise AssertionError("it loads what takes seconds")

    monkeypatch.setattr("remdm_tui.commands.train.configured", loading)
    out = tmp_path / "runs" / "tiny"
    with exclusive(out):
        result = cli(*training)
    assert result.exit_code == 2
    assert f"another run is at work in {out}" in result.output
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_run_can_begin_with_the_model_of_another(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    cli(*training)
    config, init = tmp_path / "more.toml", tmp_path / "runs" / "tiny" / "model"
    lines = ["[run]", f"init = {str(init)!r}", "steps = 1", "batch = 2", "validate_every = 1", "validation_windows = 2"]
    config.write_text("\n".join(lines), encoding="utf-8")
    words = [*training]
    words[words.index("--config") + 1] = str(config)
    words[words.index("--out") + 1] = str(tmp_path / "runs" / "more")
    output = cli(*words).output
    assert f"started from the weights of {init}" in output
    assert "step 1/1" in output
    assert "started from" not in cli(*words, "--steps", "2").output
    config.write_text("[run]\ninit = 'dmeo'", encoding="utf-8")
    refused = cli(*words)
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1].startswith(f"remdm-tui: {config}: unknown model 'dmeo': choose demo,")


def test_the_best_can_be_exported_without_training(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    cli(*training)
    model = tmp_path / "runs" / "tiny" / "model" / "model.safetensors"
    model.unlink()
    result = cli(*training, "--steps", "1000", "--export-only")
    assert result.exit_code == 0
    assert "step 7" not in result.output
    assert model.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_the_same_command_continues(
    training: list[str], tmp_path: Path, number: int, code: int, cli: Callable[..., Any]
) -> None:
    process = forks.start(
        forks.MAIN, [*training, "--steps", "1000000"], imports=forks.TRAINING, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step "):
        pass
    process.send_signal(number)
    output, complaint = process.communicate(timeout=120)
    last = torch.load(tmp_path / "runs" / "tiny" / "last.pt", weights_only=True)["step"]
    assert (process.returncode, complaint) == (code, "")
    assert f"stopped after step {last}, saved in" in output
    assert f"continuing from step {last}" in cli(*training, "--steps", str(last + 1)).output
    steps = [json.loads(line)["step"] for line in (tmp_path / "runs" / "tiny" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, last + 2))


def two_processes(training: list[str], home: Path, stderr: int) -> forks.Child:
    """Start a long training whose second process is the child of the first."""
    program = forks.MODULE.format(python=forks.python(home, forks.TRAINING))
    return forks.start(
        program, ["-m", "remdm_tui", *training, "--steps", "1000000", "--devices", "2"], imports=forks.TRAINING,
        stdout=subprocess.PIPE, stderr=stderr, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def test_two_processes_stop_together_and_one_goes_on(
    training: list[str], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    """The signal reaches one of them."""
    process = two_processes(training, tmp_path, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step "):
        pass
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 143
    last = torch.load(tmp_path / "runs" / "tiny" / "last.pt", weights_only=True)["step"]
    assert output.count(f"stopped after step {last}, saved in") == 1
    assert f"continuing from step {last}" in cli(*training, "--steps", str(last + 1)).output
    steps = [json.loads(line)["step"] for line in (tmp_path / "runs" / "tiny" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, last + 2))


def test_a_scheduler_that_tells_a_process_twice_does_not_kill_it_while_it_saves() -> None:
    with stopping() as stop:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        assert stop.signal == signal.SIGUSR1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


JOB = """
import signal, sys
from remdm_tui.commands.slurm import Job
sys.executable = sys.argv.pop(1)
job = Job(sys.argv[1:])
def warned(number, frame):
    again = job.checkpoint()
    sys.exit(0 if again.function.command == job.command else 1)
signal.signal(signal.SIGUSR2, warned)
job()
"""


def test_a_job_of_slurm_saves_before_it_is_sent_again(training: list[str], tmp_path: Path) -> None:
    words = [forks.python(tmp_path, forks.TRAINING), *training, "--steps", "1000000"]
    process = forks.start(JOB, words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step "):
        pass
    process.send_signal(signal.SIGUSR2)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    last = torch.load(tmp_path / "runs" / "tiny" / "last.pt", weights_only=True)["step"]
    assert f"stopped after step {last}, saved in" in output


def test_a_process_that_is_lost_ends_the_other_with_a_sentence(training: list[str], tmp_path: Path) -> None:
    process = two_processes(training, tmp_path, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("step "):
        pass
    (other,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(other), signal.SIGKILL)
    complaint = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert "remdm-tui: another process of this run has ended: the same command continues from" in complaint
    assert "Traceback" not in complaint


def test_a_terminal_gets_a_bar_with_its_figures(training: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = forks.start(
        forks.MAIN, training, imports=forks.TRAINING, env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "160"},
        stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how a terminal without a writer ends
        pass
    os.close(ours)
    assert process.wait(120) == 0
    assert b"step 6 of 6" in shown
    assert b"tokens/s" in shown


class Bereft(SingleWorker):
    """The second of two processes, whose first has ended."""

    rank, world = 1, 2

    def wait(self) -> None:
        raise RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")


def test_a_process_that_waits_for_data_ends_with_a_sentence_when_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another process of this run has ended before the data were prepared"):
        prepared(
            TrainConfig(), [], tmp_path, tmp_path, torch.device("cpu"), Bereft(), TrainingReport(Silent()), Silent()
        )


def test_the_log_of_a_run_that_died_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step":1}\n{"step":2}\n{"step":3}\n{"st')
    with continued(log, 2) as file:
        file.write('{"step":3,"again":true}\n')
    assert log.read_text() == '{"step":1}\n{"step":2}\n{"step":3,"again":true}\n'


def test_a_log_that_is_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)  # without one, opening the pipe would wait
    try:
        with (
            pytest.raises(ValueError, match=r"log\.jsonl is a named pipe, not a regular file"),
            continued(log, 0) as file,
        ):
            file.write("{}\n")
    finally:
        os.close(reader)
    with continued(Path(os.devnull), 0) as file:
        file.write("{}\n")


def test_the_smoothed_loss_of_a_constant_is_that_constant() -> None:
    assert [round(r.loss, 9) for r in smoothed(iter(progress(i, 3.0) for i in (1, 2, 3)), 10)] == [3.0] * 3


def test_the_time_left_is_the_tokens_left_at_the_present_rate() -> None:
    (reading,) = smoothed(iter([progress(4)]), tokens_per_step=1000)
    assert reading.seconds_left == 60.0
    lines: list[str] = []
    TrainingReport(PlainLines(lines.append, lambda: 0.0)).step(reading)
    assert lines[0].endswith("  0:01:00 left")


def test_the_bound_is_shown_in_nats_and_as_a_perplexity() -> None:
    assert "2.0000 nats, perplexity 7.4" in step_figures(ProgressReading(progress(5, validation=2.0), 1.0, 2.0, 1.0))


def test_plain_lines_come_when_something_was_measured_or_time_has_passed() -> None:
    times, lines = iter([0.0, 1.0, 2.0, 20.0]), list[str]()
    report = TrainingReport(PlainLines(lines.append, lambda: next(times)))
    for now in (progress(1), progress(2), progress(3, validation=1.0), progress(4)):
        report.step(ProgressReading(now, 1.0, now.validation, 1.0))
    assert [line.split()[1] for line in lines] == ["1/10", "3/10", "4/10"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tiny.toml", "[run]\nsteps = 0", "tiny.toml: run.steps is too small"),
        ("tiny.toml", "[nope]", "nope"),
        pytest.param("tiny.toml", "a = " + "[" * 9999, "tiny.toml: it is nested too deeply", id="deep"),
        ("tiny.toml", None, "tiny.toml: No such file or directory"),
        ("text.txt", None, "text.txt: No such file or directory"),
        ("text.txt", "", "the data files hold no text"),
        ("text.txt", "too short", "use more text or name a tokenizer by data.tokenizer"),
        ("runs/tiny/last.pt", "nope", "last.pt is not a checkpoint of a training run"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    cli: Callable[..., Any], training: list[str], tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    result = cli(*training)
    assert result.exit_code == 2
    assert result.stderr.startswith("remdm-tui: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_export_takes_neither_the_data_nor_the_memory_of_a_training(
    cli: Callable[..., Any], training: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli(*training)
    out = tmp_path / "runs" / "tiny"
    model = out / "model" / "model.safetensors"
    model.unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr("engine.training.loop.check_needs", refuse)
    monkeypatch.setattr("engine.training.data.prepare", refuse)
    result = cli(*training, "--export-only")
    assert result.exit_code == 0, result.output
    assert model.exists()
    assert {path for path in before if path.parent != model.parent and path.stat().st_mtime_ns != before[path]} == set()
    (out / "last.pt").write_bytes(b"damaged")
    assert cli(*training, "--export-only").exit_code == 0


def refuse(*given: object, **named: object) -> None:
    raise ValueError("not needed for an export")


def test_an_export_of_another_network_is_refused(cli: Callable[..., Any], training: list[str], tmp_path: Path) -> None:
    cli(*training)
    config = tmp_path / "tiny.toml"
    config.write_text('objective = "sedd"\n' + config.read_text().replace('objective = "mdlm"', ""))
    assert "holds a run of another model than the configuration's" in cli(*training, "--export-only").stderr


def test_nothing_can_be_exported_before_a_validation(cli: Callable[..., Any], training: list[str]) -> None:
    assert "nothing has been validated yet" in cli(*training, "--export-only").stderr


def test_a_loss_that_is_not_a_number_names_the_step_and_the_last_good_state(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    cli(*training)
    last = tmp_path / "runs" / "tiny" / "last.pt"
    state = torch.load(last, weights_only=True)
    state["model"]["output_layer.linear.bias"].fill_(torch.nan)
    write_state(last, state)
    result = cli(*training, "--steps", "8")
    assert result.exit_code == 2
    assert "the loss became nan and its gradient nan at step 6, whose batch begins at" in result.stderr
    assert f"the last good state is {last}" in result.stderr


def test_a_changed_configuration_is_a_sentence_until_it_is_meant(
    cli: Callable[..., Any], training: list[str], tmp_path: Path
) -> None:
    cli(*training)
    config = tmp_path / "tiny.toml"
    config.write_text(config.read_text().replace("batch = 2", "batch = 3").replace("float32", "bfloat16"))
    result = cli(*training, "--steps", "7")
    assert result.exit_code == 2
    assert "run.batch was 2 and is 3; run.precision was 'float32' and is 'bfloat16'" in result.stderr
    assert cli(*training, "--export-only").exit_code == 0
    output = cli(*training, "--steps", "7", "--changed").output
    assert "changed since the start of the run: run.batch was 2 and is 3" in output
    assert ("no instructions for bfloat16" in output) != has_bfloat16(torch.device("cpu"))
    assert "step 7/7" in output
