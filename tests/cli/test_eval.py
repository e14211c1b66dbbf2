"""`eval`: what it writes, how it is stopped, killed and gone on with, alone and as several processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from typer.testing import CliRunner

from engine.data.special_tokens import MASK
from engine.evaluation.results import read_results, read_samples
from engine.evaluation.store import EvalStore
from engine.files.checksums import checksum
from engine.models import checkpoint
from engine.models.dit import DIT, DITConfig
from engine.models.quality import QualityHead, write_head
from engine.sampling.session import Session
from engine.strategies import make_strategy
from engine.training.tokenizers import train_tokenizer
from remdm_tui.cli import app
from remdm_tui.commands import slurm
from remdm_tui.commands.eval_sample import arguments_of_sample
from remdm_tui.settings.run_arguments import RunArguments
from tests import forks
from tests.cli.conftest import ENVIRONMENT
from tests.engine.dit_files import HUB, prefixed, state, write_hub, write_tokenizer
from tests.engine.judges import save_gpt2, texts
from tests.waiting import PATIENCE, eventually

CROWDED = 4000
"""Bytes that some of the samples need."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a tiny judge, and text to compare with."""
    home = tmp_path_factory.mktemp("shop")
    codec = train_tokenizer(iter(texts(60, seed=4)), 300)
    torch.manual_seed(3)
    size = codec.get_vocab_size()
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "n_blocks": 1,
        "n_heads": 2,
        "cond_dim": 8,
        "length": 24,
        "dropout": 0.0,
    }
    model = DIT(DITConfig(vocab_size=size, mask_id=codec.token_to_id(MASK), time_conditioning=False, **shape))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    checkpoint.export_model(model, codec.to_str(), home / "model", torch.float32)
    save_gpt2(home / "judge", 64)
    (home / "text.txt").write_text("\n\n".join(texts(400, seed=9)), encoding="utf-8")
    return home


def command(shop: Path, out: Path, *more: str, count: int = 40) -> list[str]:
    return [
        "eval", "--model", str(shop / "model"), "--strategy", "remdm-cap", "--eta", ".2", "--steps", "8",
        "--length", "12", "--count", str(count), "--seed", "1", "--judge", str(shop / "judge"),
        "--references", str(shop / "text.txt"), "--device", "cpu", "--out", str(out), *more,
    ]  # fmt: skip


def kept(home: Path) -> dict[str, bytes]:
    """The files but for clocks."""
    found = {
        p.name: p.read_bytes()
        for p in home.iterdir()
        if p.is_file() and not p.name.startswith((".", "time.", "results.json."))
    }
    results = json.loads(found["results.json"])
    for name in ("timing", "seconds"):
        del results[name]
    return {**found, "results.json": msgspec.json.encode(results)}


@pytest.fixture(scope="module")
def whole(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert CliRunner().invoke(app, command(shop, out)).exit_code == 0
    return out


def test_the_figures_are_together_on_stdout_and_progress_on_stderr(
    cli: Callable[..., Any], shop: Path, tmp_path: Path
) -> None:
    result = cli(*command(shop, tmp_path / "out"))
    assert result.exit_code == 0
    found = read_results(tmp_path / "out")
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["conventions", "gen", "PPL", "entropy", "MAUVE"]
    assert lines[2].startswith("reference")
    assert f"{found.gen_ppl:.1f} [" in lines[2]
    assert f"{found.entropy:.2f} [" in lines[2]
    assert f"{found.mauve:.3f}" in lines[2]
    assert "is not comparable with MAUVE of 1,000 or more" in result.stdout
    assert "sampling 40 of 40" in result.stderr
    assert "calls saved" in result.stderr


def test_json_is_the_results_file(cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path) -> None:
    result = cli(*command(shop, tmp_path / "out"), "--json", "--quiet")
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert found == json.loads((tmp_path / "out" / "results.json").read_text())
    for name in ("gen_ppl", "entropy", "mauve", "network_calls", "seconds"):
        assert isinstance(found[name], float)
    assert set(found["conventions"]) == {"reference", "standard"}
    assert found["settings"]["sampling"]["knobs"]["eta"] == 0.2
    assert kept(tmp_path / "out") == kept(whole)


def test_one_that_is_finished_is_reported_again_without_work(cli: Callable[..., Any], shop: Path, whole: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if not path.name.startswith(".")}
    result = cli(*command(shop, whole))
    assert result.exit_code == 0
    assert "gen PPL" in result.stdout
    assert before == {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if not path.name.startswith(".")}


def test_a_sample_is_watched_from_its_seed(shop: Path, whole: Path) -> None:
    from engine.models import load_model

    options = arguments_of_sample(whole, 17, RunArguments()).options()
    settings = options.settings
    model = load_model(options.model.name, "cpu", options.model.dtype)
    session = Session(
        model, make_strategy(settings.strategy, **settings.knobs), steps=options.steps, length=options.length,
        seed=options.seed, first=options.first, top_p=settings.top_p,
    )  # fmt: skip
    for _ in session:
        pass
    assert session.tokens[0].tolist() == list(read_samples(whole)[17].ids)


def moved(shop: Path, whole: Path, to: Path) -> Path:
    """The evaluation in another place, with what it was made of beside it and nothing where it was."""
    home = to / "all"
    shutil.copytree(shop, home)
    shutil.copytree(whole, home / "out")
    settings = home / "out" / "settings.json"
    settings.write_text(settings.read_text().replace(str(shop), "/no/such/place"))
    results = home / "out" / "results.json"
    results.write_text(results.read_text().replace(str(shop), "/no/such/place"))
    checksum(results).unlink()
    return home


def test_what_was_moved_with_its_model_is_watched_there(shop: Path, whole: Path, tmp_path: Path) -> None:
    home = moved(shop, whole, tmp_path)
    assert arguments_of_sample(home / "out", 17, RunArguments()).model == str(home / "model")


def test_a_sweep_that_was_moved_with_its_project_finds_the_model(shop: Path, whole: Path, tmp_path: Path) -> None:
    home = moved(shop, whole, tmp_path)
    deep = home / "results" / "first" / "strategy=mdlm"
    deep.parent.mkdir(parents=True)
    (home / "out").rename(deep)
    runs = home / "runs" / "mine" / "long"
    runs.mkdir(parents=True)
    (home / "model").rename(runs / "model")
    settings = deep / "settings.json"
    settings.write_text(settings.read_text().replace("/no/such/place/model", "/no/such/place/runs/mine/long/model"))
    assert arguments_of_sample(deep, 17, RunArguments()).model == str(runs / "model")


def test_a_moved_evaluation_is_reported_again_by_new_names(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    home = moved(shop, whole, tmp_path)
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir() if path.name != "settings.json"}
    command_line = command(home, home / "out")
    at = command_line.index("--judge")
    result = cli(*command_line[:at], *command_line[at + 2 :])
    assert result.exit_code == 0, result.stderr
    assert before == {path.name: path.read_bytes() for path in (home / "out").iterdir() if path.name in before}


def test_references_that_were_moved_with_an_evaluation_are_found(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    home = moved(shop, whole, tmp_path)
    command_line = command(home, home / "out")
    command_line[command_line.index("--references") + 1] = "/no/such/place/text.txt"
    result = cli(*command_line)
    assert result.exit_code == 0, result.stderr
    (home / "text.txt").unlink()
    result = cli(*command_line)
    assert result.exit_code == 2
    assert "was not found: give its place by --references; tried /no/such/place/text.txt" in result.stderr


def test_a_model_that_is_gone_is_reported_with_the_places_that_were_looked_at(
    shop: Path, whole: Path, tmp_path: Path
) -> None:
    home = moved(shop, whole, tmp_path)
    shutil.rmtree(home / "model")
    with pytest.raises(ValueError, match=rf"--model; tried /no/such/place/model, and model, .* in {home}/out, {home}"):
        arguments_of_sample(home / "out", 17, RunArguments())


def test_a_model_that_has_changed_shows_no_other_sample(shop: Path, whole: Path, tmp_path: Path) -> None:
    home = moved(shop, whole, tmp_path)
    path = home / "model" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model has changed since .* was evaluated: give the original by --model"):
        arguments_of_sample(home / "out", 17, RunArguments())
    assert arguments_of_sample(home / "out", 17, RunArguments(model=str(home / "model"))).model == str(home / "model")


def test_a_tokenizer_that_the_hub_lends_is_part_of_an_evaluation(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "cache" / "models--openai-community--gpt2"
    usual = write_tokenizer(place / "snapshots" / "abc" / "tokenizer.json")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    model, out = write_hub(tmp_path / "model", HUB, prefixed(state(seed=1))), tmp_path / "out"
    command_line = [
        "eval", "--model", str(model), "--steps", "2", "--length", "4", "--count", "2", "--judge", "none",
        "--device", "cpu", "--out", str(out), "--quiet",
    ]  # fmt: skip
    assert cli(*command_line).exit_code == 0
    assert arguments_of_sample(out, 0, RunArguments()).model == str(model.resolve())
    usual.write_text(usual.read_text() + " ")
    result = cli(*command_line)
    assert (result.exit_code, "model.tokenizer_fingerprint" in result.stderr) == (2, True)
    with pytest.raises(ValueError, match=r"the tokenizer gpt2 has changed since .*: give the original by --tokenizer"):
        arguments_of_sample(out, 0, RunArguments())


def test_a_sample_of_a_strategy_that_has_changed_is_not_watched_by_the_new_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "out"
    shutil.copytree(whole, home)
    monkeypatch.setattr("remdm_tui.commands.eval_sample.source_digest", lambda name: "of another version")
    with pytest.raises(ValueError, match=r"the strategy remdm-cap has changed since .*: name a --strategy"):
        arguments_of_sample(home, 0, RunArguments())
    with pytest.raises(ValueError, match="name a --strategy"):
        arguments_of_sample(home, 0, RunArguments(strategy="remdm-cap"))
    assert arguments_of_sample(home, 0, RunArguments(strategy="mdlm")).strategy == "mdlm"
    settings = json.loads((home / "settings.json").read_text())
    settings["plan"]["sampling"]["strategy_digest"] = "of another version"
    (home / "settings.json").write_text(json.dumps(settings))
    assert arguments_of_sample(home, 0, RunArguments()).strategy == "remdm-cap"


def test_a_file_that_a_knob_names_is_part_of_an_evaluation(cli: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    counts, out = tmp_path / "counts.json", tmp_path / "out"
    counts.write_text('{"3": 1}')
    words = [
        "eval", "--model", str(shop / "model"), "--strategy", "pc-sampler", "--knob", f"background={counts}",
        "--steps", "4", "--length", "8", "--count", "1", "--judge", "none", "--device", "cpu", "--out", str(out),
    ]  # fmt: skip
    assert cli(*words).exit_code == 0
    assert arguments_of_sample(out, 0, RunArguments()).strategy == "pc-sampler"
    counts.write_text('{"3": 2}')
    refused = cli(*words)
    assert (refused.exit_code, "sampling.files_digest" in refused.stderr) == (2, True)
    with pytest.raises(ValueError, match="a file that a --knob names has changed since"):
        arguments_of_sample(out, 0, RunArguments())
    assert arguments_of_sample(out, 0, RunArguments(knob=("background=uniform",))).knob == ("background=uniform",)


def test_a_sample_is_not_watched_with_another_head(cli: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(shop / "model", model)
    write_head(QualityHead(16), model)
    words = [
        "eval", "--model", str(model), "--strategy", "prism", "--steps", "4", "--length", "8", "--count", "1",
        "--judge", "none", "--device", "cpu", "--out", str(out),
    ]  # fmt: skip
    assert cli(*words).exit_code == 0
    assert arguments_of_sample(out, 0, RunArguments()).strategy == "prism"
    write_head(QualityHead(16), model)
    with pytest.raises(ValueError, match=r"the head of .*model has changed since .*: give the original by --model"):
        arguments_of_sample(out, 0, RunArguments())


def test_a_directory_of_the_first_format_is_refused_unless_rescored(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    path = out / "settings.json"
    settings = json.loads(path.read_text())
    settings["format"], settings["plan"]["model"]["fingerprint"] = 1, "of the ends"
    path.write_text(json.dumps(settings))
    assert arguments_of_sample(out, 17, RunArguments()).model == str(shop / "model")
    result = cli(*command(shop, out))
    assert result.exit_code == 2
    assert "was started by an earlier version" in " ".join(result.stderr.split())
    assert cli(*command(shop, out, "--rescore")).exit_code == 0
    assert kept(out) == kept(whole)


@pytest.mark.parametrize(("number", "reason"), [(40, "has the samples 0 to 39, not 40"), (-1, "not -1")])
def test_a_sample_that_is_not_there_is_refused(whole: Path, number: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        arguments_of_sample(whole, number, RunArguments())


def test_a_directory_that_is_no_evaluation_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not an evaluation: it has no settings.json"):
        arguments_of_sample(tmp_path, 0, RunArguments())


def dying(call: int) -> str:
    return f"from tests.dying import die_at; die_at({call}); "


def test_killed_again_and_again_it_ends_with_the_same_files(shop: Path, whole: Path, tmp_path: Path) -> None:
    rng, out, statuses = random.Random(5), tmp_path / "out", []
    # before anything is kept, in every stage, and at last not at all
    for dies in (1, 4, 8, 14, 20, 26, 0):
        words = command(shop, out, "--quiet", "--batch", str(rng.randint(1, 5)))
        program = (dying(dies) if dies else "") + forks.MAIN
        statuses.append(forks.run(program, words, imports=forks.EVALUATION, env=ENVIRONMENT).returncode)
    assert statuses == [-signal.SIGKILL] * 6 + [0]
    assert kept(out) == kept(whole)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_a_sentence_and_the_same_command_goes_on(
    shop: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    process = forks.start(
        forks.MAIN, command(shop, out, count=100_000), imports=forks.EVALUATION, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until_sampled(process, out)
    process.send_signal(number)
    output, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert output == b""
    assert complaint.decode().splitlines()[-1] == (
        f"remdm-tui: stopped; what is finished is in {out}, and the same command continues"
    )
    assert read_samples(out)


def until_sampled(process: forks.Child, out: Path) -> None:
    eventually(lambda: process.poll() is not None or any(path.stat().st_size for path in out.glob("*.jsonl")))
    assert process.poll() is None


def test_a_full_disk_ends_it_with_a_sentence_and_the_same_command_goes_on(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    small = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({CROWDED}, -1)); "
    done = forks.run(small + forks.MAIN, command(shop, out), imports=forks.EVALUATION, env=ENVIRONMENT)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"remdm-tui: {out / 'samples.jsonl'}: File too large; make room: what is finished is in {out}, and the same "
        "command continues"
    )
    assert 5 < len(read_samples(out)) < 40
    assert cli(*command(shop, out)).exit_code == 0
    assert kept(out) == kept(whole)


def launched(shop: Path, out: Path, program: str = forks.MAIN) -> subprocess.CompletedProcess[str]:
    """The evaluation by two processes of torch's launcher."""
    each = forks.command(program, forks.EVALUATION)
    words = ["--standalone", "--nproc-per-node", "2", "--no-python", *each, *command(shop, out)]
    return forks.run(
        "from torch.distributed.run import main; main()", words, imports=["torch.distributed.run"], env=ENVIRONMENT
    )


def test_two_gloo_processes_give_the_files_of_one(shop: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = launched(shop, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("conventions") == 1
    assert read_results(out).timing.processes == 2
    assert kept(out) == kept(whole)


def test_the_samples_of_a_killed_process_are_done_by_the_next_start(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    # the second is killed at its sixth write to a file
    lost = f"import os\nif os.environ['RANK'] == '1':\n    {dying(6)}\n{forks.MAIN}"
    assert launched(shop, out, lost).returncode != 0
    assert (out / "samples.rank1.jsonl").stat().st_size > 0
    assert not (out / "results.json").exists()
    assert cli(*command(shop, out)).exit_code == 0
    assert kept(out) == kept(whole)


def test_a_second_start_in_the_same_directory_is_refused(cli: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = EvalStore(out)
    first.take()
    second = cli(*command(shop, out))
    first.close()
    assert second.exit_code == 2
    assert second.stderr == (f"remdm-tui: another run is at work in {out}: wait for it, or choose another --out\n")


def test_other_settings_are_refused_with_a_list_of_changes(cli: Callable[..., Any], shop: Path, whole: Path) -> None:
    result = cli(*command(shop, whole), "--top-p", ".8", "--count", "41")
    assert result.exit_code == 2
    sentences = result.stderr.splitlines()[-3:]
    assert sentences[0].endswith("holds an evaluation of other settings: choose another --out, or the old ones")
    assert sentences[1:] == ["  sampling.top_p: 0.9 -> 0.8", "  sampling.count: 40 -> 41"]


def test_figures_by_rules_that_have_changed_are_computed_anew_when_that_is_meant(
    cli: Callable[..., Any], shop: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    path = out / "settings.json"
    settings = json.loads(path.read_text())
    assert set(settings["plan"]["scoring"].pop("decisions")) == {"reference", "standard"}
    path.write_text(json.dumps(settings))
    refused = cli(*command(shop, out))
    assert refused.exit_code == 2
    assert "--rescore keeps its samples" in refused.stderr
    assert "  scoring.decisions.reference: nothing -> " in refused.stderr
    assert cli(*command(shop, out), "--rescore").exit_code == 0
    assert (out / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()


def test_a_sweep_makes_a_directory_for_every_combination(cli: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    words = command(shop, tmp_path, "--quiet", "--json", "--judge", "none", "--references", "none", count=3)
    for gone in ("--strategy", "--eta", "--steps"):
        at = words.index(gone)
        del words[at : at + 2]
    result = cli(*words, "--sweep", "strategy=mdlm,remdm-cap", "eta=.01,.02", "--sweep", "steps=4,8")
    assert result.exit_code == 0
    made = sorted(path.parent.name for path in tmp_path.glob("*/results.json"))
    assert made == sorted(
        [f"strategy=mdlm,steps={t}" for t in (4, 8)]
        + [f"strategy=remdm-cap,steps={t},eta={eta}" for eta in (".01", ".02") for t in (4, 8)]
    )
    found = [json.loads(line)["settings"]["sampling"] for line in result.stdout.splitlines()]
    assert len(found) == 6
    assert {(one["strategy"], one["knobs"].get("eta"), one["steps"]) for one in found} == {
        ("mdlm", None, 4), ("mdlm", None, 8), ("remdm-cap", 0.01, 4), ("remdm-cap", 0.01, 8), ("remdm-cap", 0.02, 4),
        ("remdm-cap", 0.02, 8),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--count", "0"], "count must be at least 1, not 0"),
        (["--predictor", "nope"], "unknown predictor 'nope': choose lazy, ddpm"),
        (["--predictor", "ddpm"], "ddpm remasks nothing: leave --strategy at mdlm, not remdm-cap"),
        (["--conventions", "nope"], "unknown conventions 'nope': choose reference, standard"),
        (["--judge", "/nowhere"], "there is no file or directory '/nowhere'"),
        (["--judge", "none"], "MAUVE needs a model's features: name a --judge or --features"),
        (["--references", "/nowhere.txt"], "there is no file or directory '/nowhere.txt', nor a data set"),
        (["--references", "/dev/null"], "/dev/null is not a text file"),
        (["--count", "3"], "MAUVE needs at least 20 samples and 20 references that are not empty, got 3"),
        (["--length", "25"], "length 25 is beyond the model's 24"),
        (["--sweep", "steps=4,x"], "the sweep over steps needs numbers, not 'x'"),
        (["--sweep", "nope=4"], "cannot sweep over 'nope'"),
        (["--sweep", "eta=4"], "eta must lie in 0 to 1, not 4"),
        (["--sweep", "steps=4,4"], "the sweep over steps has a value twice"),
        (["steps=4,8"], "unexpected argument steps=4,8: give settings to sweep over after --sweep"),
        (["--stride", "12"], "a stride must lie in 1 to 11, so that windows of 12 overlap, not 12"),
        (["--out", "/proc/nowhere"], "/proc/nowhere cannot be written in: No such file or directory"),
        (["--slurm", "nodes"], "--slurm needs name=value,name=value, not 'nodes'"),
    ],
)
def test_bad_input_is_a_sentence_before_anything_is_sampled(
    cli: Callable[..., Any], shop: Path, tmp_path: Path, more: list[str], reason: str
) -> None:
    result = cli(*command(shop, tmp_path / "out"), *more)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"remdm-tui: {reason}" in result.stderr
    assert not list(tmp_path.glob("out/samples*"))


def test_empty_references_are_reported(cli: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    result = cli(*command(shop, tmp_path / "out", "--references", str(tmp_path / "empty.txt")))
    assert result.exit_code == 2
    assert result.stderr.endswith("empty.txt holds no text\n")


def test_a_job_of_submitit_runs_the_same_command(
    shop: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its local executor stands in for Slurm: the same pickles, logs and environment."""
    python, out = forks.python(tmp_path, forks.EVALUATION), tmp_path / "out"
    # the job has a number of its own and is a Python; the command that it starts is a fork
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.executable = {python!r}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    words = command(shop, out)
    job = slurm.send(words, {"cluster": "local", "time": 5}, out)
    assert job.result() == 0
    assert "conventions" in Path(job.paths.stdout).read_text()
    assert kept(out).keys() >= kept(whole).keys()
    # scores agree to rounding alone where the two have different numbers of threads
    assert [line.ids for line in read_samples(out)] == [line.ids for line in read_samples(whole)]


def test_a_job_is_sent_without_its_own_option_and_asks_for_a_gpu_a_task() -> None:
    words = ["eval", "--slurm", "nodes=2,devices=8", "--out", "x", "--slurm=a=1"]
    assert slurm.without_slurm(words) == ["eval", "--out", "x"]
    found = slurm.submitit_parameters(slurm.parse_settings("nodes=2,devices=8,time=60,partition=gpu"))
    assert found == {
        "name": "remdm-eval", "nodes": 2, "tasks_per_node": 8, "timeout_min": 60,
        "slurm_additional_parameters": {"partition": "gpu", "gres": "gpu:8"},
    }  # fmt: skip
