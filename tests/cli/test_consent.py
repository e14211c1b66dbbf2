"""Consent to run code comes from this command line alone: no file that is read can give it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import engine
import remdm_tui
from engine.messages import Message
from engine.models.loading import LoadRequest
from engine.recording import Header, Recording
from engine.recording.entries import pack, unpack
from engine.records import HOW_TO_CONSENT, ModelChoice, Settings
from remdm_tui.commands.eval_sample import arguments_of_sample
from remdm_tui.commands.slurm import Job
from remdm_tui.link.replay import replay_options
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import WatchOptions, parse_model
from remdm_tui.watch.state import SessionState
from remdm_tui.watch.transitions import ask_for_model
from tests.engine.recordings import recorded

GRANTS = {"trust_remote_code", "strategy_file", "remote_command", "remote_python", "command", "may_consent"}
"""Names of fields that decide which code or program runs."""


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """A directory as somebody else's `eval --trust-remote-code` leaves it."""
    home = tmp_path / "shared"
    home.mkdir()
    settings = {
        "model": {"name": "demo", "fingerprint": "f", "dtype": "float32", "kind": "MDLM", "trust_remote_code": True},
        "sampling": {
            "strategy": "mdlm", "knobs": {}, "top_p": 1.0, "temperature": 1.0, "nucleus": "inclusive",
            "draw": "inverse-cdf", "steps": 4, "length": 16, "seed": 0, "count": 1,
        },
        "scoring": {"conventions": ["standard"], "judge": None},
    }  # fmt: skip
    (home / "settings.json").write_text(json.dumps({"format": 1, "plan": settings}))
    return home


def test_settings_of_an_evaluation_grant_nothing(evaluation: Path) -> None:
    assert not arguments_of_sample(evaluation, 0, RunArguments()).options().model.trust_remote_code
    assert arguments_of_sample(evaluation, 0, RunArguments(trust_remote_code=True)).options().model.trust_remote_code


def test_a_recording_grants_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.remdm"
    recorded(path)
    recording = Recording.open(path)
    trusting = dataclasses.replace(recording.header, choice=ModelChoice("odd", trust_remote_code=True))
    recording.close()
    assert not unpack(Header, pack(trusting)).checked().choice.trust_remote_code
    fake: Any = SimpleNamespace(header=trusting.checked(), trace=lambda branch: SimpleNamespace(settings=list))
    assert not replay_options(fake).model.trust_remote_code


def structs(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from structs(below)


def parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in typing.get_args(annotation):
        yield from parts(inner)


def test_no_record_of_a_file_has_a_field_that_decides_what_runs() -> None:
    for package in (engine, remdm_tui):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # the kernels need triton, which comes with CUDA
            if not module.name.endswith(("__main__", "fused_kernel")):
                importlib.import_module(module.name)
    read = {kind for kind in structs(msgspec.Struct) if kind.__module__.startswith(("engine.", "remdm_tui."))}
    # what the two processes tell each other is no file
    read -= {Message, *structs(Message)}
    assert len(read) > 20
    for kind in read:
        assert not GRANTS & set(kind.__struct_fields__), kind  # type: ignore[attr-defined]
        held = [part for hint in typing.get_type_hints(kind).values() for part in parts(hint)]
        assert not {ModelChoice, WatchOptions} & {one for one in held if isinstance(one, type)}, kind


def test_a_page_consents_only_if_the_command_of_serve_did() -> None:
    text, base = "org/odd --trust-remote-code", ModelChoice("demo")
    assert parse_model(text, base).trust_remote_code
    with pytest.raises(ValueError, match="start `remdm-tui serve` with it"):
        parse_model(text, base, may_consent=False)


@pytest.mark.parametrize("may_consent", [True, False])
def test_a_refusal_on_a_page_names_who_may_consent(may_consent: bool) -> None:
    options = WatchOptions(Settings("mdlm"), may_consent=may_consent)
    reason = f"org/odd (odd) needs its own Python code: {HOW_TO_CONSENT}"
    state = ask_for_model(SessionState(options, options.settings, options.model), reason)
    assert state.needs_model == (
        reason
        if may_consent
        else "org/odd (odd) needs its own Python code: the owner of the server can allow that by starting "
        "`remdm-tui serve` with --trust-remote-code"
    )


@pytest.mark.parametrize(
    ("driver", "more", "may"),
    [
        ("", (), True),
        ("textual.drivers.web_driver:WebDriver", (), False),
        ("textual.drivers.web_driver:WebDriver", ("--trust-remote-code",), True),
    ],
    ids=["terminal", "page", "page with consent"],
)
def test_who_may_consent_is_known_to_watch_and_replay(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str, more: tuple[str, ...],
    may: bool,
) -> None:  # fmt: skip
    seen: list[bool] = []
    monkeypatch.setenv("TEXTUAL_DRIVER", driver)
    monkeypatch.setattr("remdm_tui.cli.watch.has_terminal", lambda: True)
    monkeypatch.setattr("remdm_tui.app.run", lambda options, brought: seen.append(options.may_consent) or 0)
    monkeypatch.setattr("remdm_tui.commands.replay.show", lambda options, *rest: seen.append(options.may_consent) or 0)
    recorded(tmp_path / "run.remdm")
    assert cli("watch", "--fresh", *more).exit_code == 0
    assert cli("replay", str(tmp_path / "run.remdm"), *more).exit_code == 0
    assert seen == [may, may]


def test_the_code_of_a_tokenizer_is_neither_run_nor_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import PreTrainedConfig

    from engine.models.pretrained_text import open_tokenizer

    marker = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass T: pass\n")
    named = {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["own.T", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
    requested: list[str] = []
    monkeypatch.setattr("builtins.input", lambda text="": requested.append(text) or "y")
    request = LoadRequest("odd", tmp_path, torch.device("cpu"), torch.float32)
    with pytest.raises(ValueError, match="the tokenizer of odd cannot be loaded"):
        open_tokenizer(request, PreTrainedConfig())
    assert not requested
    assert not marker.exists()


def test_a_process_that_is_started_runs_nothing_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "remdm_tui").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "remdm_tui" / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert Job(["--help"])() == 0
