"""From options and presets to settings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.records import SAMPLING, ModelChoice, ModelInfo, RunChoice
from engine.strategies import REGISTRY, catalogue, make_strategy, values
from remdm_tui.cli.debug_arguments import debug_options
from remdm_tui.settings import presets
from remdm_tui.settings.knobs import parse_knobs, parsed
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import DEFAULT_STRATEGY, WatchOptions, fit_to_model, parse_model


def test_no_argument_is_every_default() -> None:
    options = RunArguments().options()
    assert options == WatchOptions(options.settings)
    assert options.settings.strategy == DEFAULT_STRATEGY
    assert dict(options.settings.knobs) == values(make_strategy(DEFAULT_STRATEGY))


@pytest.mark.parametrize("name", REGISTRY)
def test_settings_carry_every_knob_of_the_strategy(name: str) -> None:
    settings = RunArguments(strategy=name).options().settings
    assert dict(settings.knobs) == values(make_strategy(name))


@pytest.mark.parametrize("name", presets.preset_names())
def test_a_preset_makes_valid_options_and_says_what_it_is(name: str) -> None:
    options = RunArguments(preset=name).options()
    assert options.settings.strategy == presets.read_preset(name).strategy
    assert presets.read_preset(name).summary.endswith(".")


@pytest.mark.parametrize("name", presets.preset_names())
def test_a_preset_holds_only_what_differs(name: str) -> None:
    preset = presets.read_preset(name)
    strategy = values(make_strategy(preset.strategy))
    assert [knob for knob, value in preset.knobs.items() if strategy[knob] == value] == []
    assert [info.name for info in SAMPLING if getattr(preset, info.name) == info.default] == []
    assert preset.steps != WatchOptions.steps
    assert preset.length != WatchOptions.length


def test_an_option_wins_over_the_preset() -> None:
    options = RunArguments(preset="owt-remdm-cap", eta=0.5, length=64).options()
    assert (options.settings.knobs["eta"], options.length, options.steps) == (0.5, 64, 1024)


def test_another_strategy_than_the_presets_does_not_get_its_knobs() -> None:
    options = RunArguments(preset="owt-remdm-cap", strategy="mdlm").options()
    assert options.settings.strategy == "mdlm"
    assert dict(options.settings.knobs) == {}


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("1e-3", 0.001), ("true", True), ("false", False), ("cap", "cap")]
)
def test_a_knobs_value_has_the_type_it_is_spelled_as(text: str, value: object) -> None:
    assert parsed(text) == value
    assert type(parsed(text)) is type(value)


def test_eta_is_short_for_the_knob() -> None:
    assert parse_knobs([], 0.1) == parse_knobs(["eta=0.1"], None)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (RunArguments(strategy="nope"), "unknown strategy 'nope': choose one of mdlm"),
        (RunArguments(knob=("nope=1",)), "has no knob 'nope': its knobs are eta"),
        (RunArguments(knob=("name=1",)), "has no knob 'name'"),
        (RunArguments(strategy="mdlm", eta=0.1), "mdlm has no knob 'eta'"),
        (RunArguments(knob=("eta",)), "name=value, not as 'eta'"),
        (RunArguments(knob=("eta=.1",), eta=0.1), "the knob eta is given twice"),
        (RunArguments(knob=("eta=nan",)), "eta must lie in 0 to 1"),
        (RunArguments(eta=1.5), "eta must lie in 0 to 1, not 1.5"),
        (RunArguments(preset="nope"), "unknown preset 'nope': choose one of llada-countdown"),
        (RunArguments(top_p=0.0), "top_p must lie in 0.01 to 1"),
        (RunArguments(temperature=-1.0), "temperature must lie in 0 to 10"),
        (RunArguments(nucleus="nope"), "nucleus must be one of exclusive, inclusive"),
        (RunArguments(draw="nope"), "draw must be one of inverse-cdf"),
        (RunArguments(steps=0), "steps must be at least 1, not 0"),
        (RunArguments(length=-1), "length must be at least 1, not -1"),
        (RunArguments(batch=0), "batch must be at least 1, not 0"),
        (RunArguments(seed=-1), "seed must lie in 0 to"),
        (RunArguments(prompt="\udcff"), "the prompt is not UTF-8 text"),
        (RunArguments(block_length=0), "block_length must be at least 1, not 0"),
        (RunArguments(model="nope"), "unknown model 'nope': choose demo"),
        (RunArguments(model="./nope.ckpt"), "there is no file or directory './nope.ckpt'"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_valid(arguments: RunArguments, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        arguments.options()


def test_every_option_of_the_model_reaches_the_choice() -> None:
    arguments = RunArguments(
        model="org/name", device="cpu", dtype="float32", no_ema=True, attention="sdpa", mask_id=5, tokenizer="gpt2",
        trust_remote_code=True,
    )  # fmt: skip
    assert arguments.options().model == ModelChoice("org/name", "cpu", "float32", False, "sdpa", 5, "gpt2", True)
    assert RunArguments().options().model == ModelChoice()


def test_a_path_on_another_machine_is_not_looked_for_here() -> None:
    assert RunArguments(model="./there").options(where="gpu").model.name == "./there"


def test_what_was_given_is_remembered_and_a_preset_gives_its_part() -> None:
    assert RunArguments().options().explicit == set()
    assert RunArguments(steps=9, strategy="mdlm").options().explicit == {"steps", "strategy"}
    assert RunArguments(preset="owt-mdlm").options().explicit == {"steps", "length", "strategy"}


MODEL = ModelInfo("m", 1, "float32", "cpu", 9, 8, 100, False, ())


def fit(info: ModelInfo, **arguments: Any) -> tuple[str, RunChoice]:
    settings, run = fit_to_model(RunArguments(**arguments).options(), info, catalogue())
    return settings.strategy, run


def test_a_run_is_no_longer_than_its_model_unless_requested() -> None:
    assert fit(MODEL)[1].length == 100
    assert fit(MODEL, length=120)[1].length == 120
    assert fit(replace(MODEL, max_length=None))[1].length == WatchOptions.length


def test_a_causal_model_runs_from_left_to_right_a_token_a_step() -> None:
    causal = replace(MODEL, causal=True)
    strategy, run = fit(causal, prompt="a")
    assert (strategy, run.steps, run.steps_after(1)) == ("left-to-right", None, 99)
    assert fit(causal, steps=500)[1].steps_after(1) == 500
    assert fit(causal, strategy="mdlm")[0] == "mdlm"
    assert fit(MODEL) == (DEFAULT_STRATEGY, RunChoice(WatchOptions.steps, 100))


def test_ssd_lm_runs_by_its_own_strategy_unless_another_was_given() -> None:
    model = replace(MODEL, kind="SSD-LM")
    assert fit(model)[0] == "ssd-lm"
    assert fit(model, strategy="mdlm")[0] == "mdlm"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("org/b", ModelChoice("org/b", "cpu")),
        (" a directory/with spaces ", ModelChoice("a directory/with spaces", "cpu")),
        ("b --mask-id 5 --no-ema", ModelChoice("b", "cpu", mask_id=5, ema=False)),
        ("b --device cuda --trust-remote-code", ModelChoice("b", "cuda", trust_remote_code=True)),
    ],
)
def test_a_typed_model_keeps_what_holds_for_every_model_and_no_trust(text: str, choice: ModelChoice) -> None:
    assert parse_model(text, ModelChoice("a", "cpu", mask_id=3, tokenizer="t", trust_remote_code=True)) == choice


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "type a path"),
        ("b --mask 5", "--mask is unknown: choose --device"),
        ("b --mask-id", "--mask-id needs a value"),
        ("b --mask-id x", "--mask-id is a number"),
        ("b --tokenizer 'x", "No closing quotation"),
    ],
)
def test_what_is_mistyped_is_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_model(text, ModelChoice())


def test_a_strategy_file_that_is_missing_or_no_file_is_named_as_such(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    for name, sentence in (
        ("none.py", "does not exist: create it with"),
        ("pipe.py", "is a named pipe, not a regular"),
    ):
        with pytest.raises(ValueError, match=sentence):
            debug_options(RunArguments(), (), str(tmp_path / name), is_remote=False)
    arguments, more = debug_options(RunArguments(), (), str(tmp_path / "pipe.py"), is_remote=True)
    assert (arguments, more["strategy_file"]) == (RunArguments(), str(tmp_path / "pipe.py"))
