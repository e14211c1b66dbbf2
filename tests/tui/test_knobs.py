from dataclasses import replace

import pytest

from engine.records import GUIDANCE, SHARED_KNOBS, KnobInfo, Settings
from engine.strategies import REGISTRY, catalogue, make_strategy, values
from remdm_tui.exports.page_data import settings_text
from remdm_tui.preferences.last_session import Sampler
from remdm_tui.preferences.startup import sampler_settings
from remdm_tui.render.canvas import sampling
from remdm_tui.settings.knobs import STRATEGY, at_fraction, fraction, knob_rows, notch, panel, turned
from remdm_tui.settings.pane_spec import pane_settings, titled
from remdm_tui.watch.branches import describe_changes

ALL = catalogue()
CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))
NUMBERS = [k for info in ALL for k in info.knobs if not k.choices] + [k for k in SHARED_KNOBS if not k.choices]


def names(settings):
    return [info.name for info, _ in panel(settings, ALL)]


def test_a_knob_without_effect_is_not_shown():
    assert "t_switch" not in names(CAP)
    assert "t_switch" in names(turned(CAP, "when", "switch", ALL))


@pytest.mark.parametrize("name", REGISTRY)
def test_every_strategy_can_be_switched_to_and_made(name):
    settings = turned(CAP, STRATEGY, name, ALL)
    assert values(make_strategy(settings.strategy, **settings.knobs)) == dict(settings.knobs)


def test_shared_knobs_keep_their_value_across_strategies():
    settings = turned(turned(CAP, "eta", 0.07, ALL), STRATEGY, "remdm-rescale", ALL)
    assert settings.knobs["eta"] == 0.07


def test_guidance_has_rows_only_where_it_is_turned_or_turned_back():
    turned_up = turned(CAP, "cfg", 1.5, ALL)

    def rows(made, upcoming):
        return {r.info.name: (r.value, r.upcoming) for r in knob_rows(made, upcoming, ALL) if r.info in GUIDANCE}

    assert rows(CAP, CAP) == {}
    assert rows(CAP, turned_up) == {"cfg": (0.0, 1.5)}
    assert rows(turned_up, turned_up) == {"cfg": (1.5, None)}
    assert rows(turned_up, CAP) == {"cfg": (1.5, 0.0)}


def test_whatever_names_settings_names_every_shared_one_that_is_turned():
    given = {"cfg": 1.5, "eos_bias": -3.0, "eos_confidence": "excluded", "temperature": 0.5}
    changed = replace(CAP, **given)
    assert sampling(changed)[1:] == ["p 0.9", "T 0.5", "cfg 1.5", "eos bias -3", "eos confidence excluded"]
    assert sampling(CAP) == ["remdm-cap eta 0.02", "p 0.9"]
    short = "temperature=0.5 cfg=1.5 eos_bias=-3 eos_confidence=excluded"
    assert describe_changes(CAP, changed) == short
    assert titled(changed, ALL) == f"remdm-cap {short}"
    assert pane_settings("remdm-cap:" + short.replace(" ", ","), CAP, ALL) == changed
    assert settings_text(changed).endswith("cfg 1.5 · eos_bias -3 · eos_confidence excluded")
    assert "cfg" not in settings_text(CAP)
    assert sampler_settings(Sampler.of(changed)) == changed


def test_an_exported_page_leaves_out_knobs_without_an_effect():
    always, loop = (Settings("remdm-cap", values(make_strategy("remdm-cap", when=when))) for when in ("always", "loop"))
    assert "t_on" not in settings_text(always)
    assert "t_on" in settings_text(loop)
    assert "mine 3" in settings_text(Settings("my-own", {"mine": 3}))


def test_a_choice_the_new_strategy_lacks_becomes_its_default():
    loop = turned(CAP, STRATEGY, "remdm-loop", ALL)
    assert loop.knobs["when"] == "loop"


def test_out_of_range_is_refused_with_the_range():
    with pytest.raises(ValueError, match="0 to 1"):
        turned(CAP, "eta", 7, ALL)
    with pytest.raises(ValueError, match="has no knob"):
        turned(CAP, "zeta", 1, ALL)


@pytest.mark.parametrize("info", NUMBERS, ids=lambda k: k.name)
def test_sliders_span_their_range(info):
    assert at_fraction(info, 0) == info.low
    assert at_fraction(info, 1) == info.high
    assert 0 <= fraction(info, info.default) <= 1


@pytest.mark.parametrize("info", NUMBERS, ids=lambda k: k.name)
def test_notches_move_one_way_and_stop_at_the_ends(info):
    value = info.default
    for _ in range(200):
        new = notch(info, value, 1)
        assert info.check(new) >= value
        value = new
    assert value == info.high
    assert notch(info, value, -1) < value


def test_choices_go_round():
    info = next(k for k in SHARED_KNOBS if k.name == "nucleus")
    assert notch(info, notch(info, "exclusive", 1), 1) == "exclusive"


def test_a_text_typed_in_place_of_a_word_gives_way_to_the_words():
    info = KnobInfo("background", "uniform", "", choices=("uniform", "other", "*.json"))
    assert [notch(info, value, 1) for value in ("uniform", "other", "mine.json")] == ["other", "uniform", "uniform"]
    assert [notch(info, value, -1) for value in ("uniform", "other", "mine.json")] == ["other", "uniform", "other"]
