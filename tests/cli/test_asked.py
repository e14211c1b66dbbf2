"""From options and presets to settings."""

from __future__ import annotations

import pytest

from engine.records import SAMPLING
from engine.strategies import REGISTRY, make_strategy, values
from remdm_tui import presets
from remdm_tui.asked import Asked, given_knobs, parsed
from remdm_tui.options import DEFAULT_STRATEGY, WatchOptions


def test_nothing_asked_is_every_default() -> None:
    options = Asked().options()
    assert options == WatchOptions(options.settings)
    assert options.settings.strategy == DEFAULT_STRATEGY
    assert dict(options.settings.knobs) == values(make_strategy(DEFAULT_STRATEGY))


@pytest.mark.parametrize("name", REGISTRY)
def test_settings_carry_every_knob_of_the_strategy(name: str) -> None:
    settings = Asked(strategy=name).options().settings
    assert dict(settings.knobs) == values(make_strategy(name))


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_makes_valid_options_and_says_what_it_is(name: str) -> None:
    options = Asked(preset=name).options()
    assert options.settings.strategy == presets.read(name).strategy
    assert presets.read(name).summary.endswith(".")


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_holds_only_what_differs(name: str) -> None:
    preset = presets.read(name)
    strategy = values(make_strategy(preset.strategy))
    assert [knob for knob, value in preset.knobs.items() if strategy[knob] == value] == []
    assert [info.name for info in SAMPLING if getattr(preset, info.name) == info.default] == []
    assert preset.steps != WatchOptions.steps
    assert preset.length != WatchOptions.length


def test_an_option_wins_over_the_preset() -> None:
    options = Asked(preset="owt-remdm-cap", eta=0.5, length=64).options()
    assert (options.settings.knobs["eta"], options.length, options.steps) == (0.5, 64, 1024)


def test_another_strategy_than_the_presets_does_not_get_its_knobs() -> None:
    options = Asked(preset="owt-remdm-cap", strategy="mdlm").options()
    assert options.settings.strategy == "mdlm"
    assert dict(options.settings.knobs) == {}


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("1e-3", 0.001), ("true", True), ("false", False), ("cap", "cap")]
)
def test_a_knobs_value_has_the_type_it_is_spelled_as(text: str, value: object) -> None:
    assert parsed(text) == value
    assert type(parsed(text)) is type(value)


def test_eta_is_short_for_the_knob() -> None:
    assert given_knobs([], 0.1) == given_knobs(["eta=0.1"], None)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked(strategy="nope"), "unknown strategy 'nope': choose one of mdlm"),
        (Asked(knob=("nope=1",)), "has no knob 'nope': its knobs are eta"),
        (Asked(knob=("name=1",)), "has no knob 'name'"),
        (Asked(strategy="mdlm", eta=0.1), "mdlm has no knob 'eta'"),
        (Asked(knob=("eta",)), "name=value, not as 'eta'"),
        (Asked(knob=("eta=.1",), eta=0.1), "the knob eta is given twice"),
        (Asked(knob=("eta=nan",)), "eta must lie in 0 to 1"),
        (Asked(eta=1.5), "eta must lie in 0 to 1, not 1.5"),
        (Asked(preset="nope"), "unknown preset 'nope': choose one of owt-dfm"),
        (Asked(top_p=0.0), "top_p must lie in 0.01 to 1"),
        (Asked(temperature=-1.0), "temperature must lie in 0 to 10"),
        (Asked(nucleus="nope"), "nucleus must be one of exclusive, inclusive"),
        (Asked(draw="nope"), "draw must be one of inverse-cdf"),
        (Asked(steps=0), "steps must be at least 1, not 0"),
        (Asked(length=-1), "length must be at least 1, not -1"),
        (Asked(batch=0), "batch must be at least 1, not 0"),
        (Asked(seed=-1), "seed must lie in 0 to"),
        (Asked(prompt="\udcff"), "the prompt is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_valid(asked: Asked, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        asked.options()
