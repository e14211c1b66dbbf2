"""The file that the last session leaves: what is in it, and that nothing in it keeps a session from starting."""

import json
import os
import random
from dataclasses import replace

import msgspec
import pytest

from engine.records import Settings
from engine.strategies import make_strategy, values
from remdm_tui.preferences.config_file import Configuration
from remdm_tui.preferences.last_session import VERSION, Memory, Remembered, Sampler
from remdm_tui.preferences.preferences import Preferences
from remdm_tui.preferences.startup import apply_preferences, sampler_settings
from remdm_tui.settings.run_arguments import RunArguments
from remdm_tui.settings.watch_options import WatchOptions

LOOP = Settings("remdm-loop", values(make_strategy("remdm-loop", eta=0.01)), top_p=0.8, nucleus="inclusive")
LAST = Remembered(toured=True, theme="nord", by_confidence=True, legend=True, speed=20, sampler=Sampler.of(LOOP))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state" / "remdm-tui" / "session.json"


def left(place, data):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return Memory.read(place)


def test_what_was_left_is_found_again(place):
    assert Memory.read(place).last == Remembered()
    Memory.read(place).write(LAST)
    memory = Memory.read(place)
    assert (memory.last, memory.problem) == (LAST, "")
    assert sampler_settings(memory.last.sampler) == LOOP
    assert os.listdir(place.parent) == ["session.json"]


DAMAGED = {
    "empty": b"", "no JSON": b"{", "another thing": b"[]", "no version": b"{}", "a word": b'{"version":"1"}',
    "wrong kind": b'{"version":1,"heat":3}', "no number": b'{"version":1,"speed":NaN}',
    "no speed": b'{"version":1,"speed":3}', "deep": b'{"new":' + b"[" * 60_000,
    "large": b" " * (1 << 20), "no text": b"\xff\x00",
    "a nested kind": b'{"version":1,"sampler":{"strategy":1}}',
}  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_reported_once_and_written_anew(place, data):
    memory = left(place, data)
    assert memory.last == Remembered()
    assert "cannot be read" in memory.problem
    memory.write(LAST)
    assert Memory.read(place) == replace(memory, last=LAST, problem="")


def test_a_later_versions_file_is_left_as_it_is(place):
    data = b'{"version":%d,"new":"thing"}' % (VERSION + 1)
    memory = left(place, data)
    assert (memory.last, memory.problem) == (Remembered(toured=True), "")
    memory.write(LAST)
    assert place.read_bytes() == data


def test_whatever_is_in_the_file_a_session_starts(place):
    good = msgspec.json.encode(LAST)
    rng = random.Random(0)
    for _ in range(500):
        data = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice([b"", b"0", b'"', b"}", b"1e999", b"null", b"\xff", b"-1"])
        memory = left(place, bytes(data))
        options = apply_preferences(WatchOptions(Settings("mdlm")), Preferences(memory=memory), RunArguments())
        assert options.settings == options.settings.checked()


@pytest.mark.parametrize(
    "sampler",
    [
        Sampler("no-such-strategy"),
        Sampler("mdlm", {"eta": 0.1}),
        Sampler("remdm-cap", {"eta": 7}),
        Sampler("remdm-cap", {"eta": "much"}),
        Sampler("remdm-cap", {"when": True}),
        Sampler("mdlm", top_p=7.0),
        Sampler("mdlm", draw="lots"),
    ],
    ids=repr,
)
def test_knobs_that_mean_nothing_here_are_left_out(sampler):
    assert sampler_settings(sampler) is None


def test_where_nothing_can_be_written_nothing_is(tmp_path):
    (tmp_path / "file").write_text("")
    memory = Memory.read(tmp_path / "file" / "session.json")
    assert (memory.last, memory.problem) == (Remembered(), "")
    memory.write(LAST)
    (tmp_path / "session.json").mkdir()
    memory = Memory.read(tmp_path / "session.json")
    memory.write(LAST)
    assert sorted(os.listdir(tmp_path)) == ["file", "session.json"]


# -- what a session begins with

DEFAULT = RunArguments().options().settings


def started_with(arguments=None, **more):
    arguments = arguments or RunArguments()
    preferences = Preferences(**({"memory": Memory(LAST)} | more))
    return apply_preferences(arguments.options(), preferences, arguments)


def test_a_session_begins_with_the_knobs_of_the_last_and_says_so():
    options = started_with()
    assert options.settings == LOOP
    assert "--fresh" in options.hint


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "remdm-cap"}, {"preset": "owt-remdm-cap"}, {"eta": 0.0}, {"knob": ("eta=0.5",)},
        {"top_p": 0.5}, {"temperature": 0.5}, {"nucleus": "exclusive"}, {"draw": "gumbel-float64"},
    ],
    ids=lambda given: next(iter(given)),
)  # fmt: skip
def test_a_command_that_says_how_to_sample_samples_just_so(given):
    arguments = RunArguments(**given)
    options = started_with(arguments)
    assert options.settings == arguments.options().settings
    assert options.hint == ""


@pytest.mark.parametrize("given", [{"steps": 8}, {"length": 9}, {"seed": 4}, {"prompt": "a"}, {"batch": 2}])
def test_a_command_that_says_what_to_sample_keeps_the_knobs(given):
    options = started_with(RunArguments(**given))
    assert options.settings == LOOP
    ((name, value),) = given.items()
    assert getattr(options, name) == value


@pytest.mark.parametrize(
    "more", [{"fresh": True}, {"configuration": Configuration(remember=False)}, {"memory": Memory()}]
)
def test_a_session_can_begin_as_the_first_did(more):
    preferences = Preferences(**({"memory": Memory(LAST)} | more))
    assert started_with(**more).settings == DEFAULT
    assert preferences.start == Remembered(toured=True)


def test_a_recording_has_its_own_knobs():
    options = WatchOptions(DEFAULT)
    assert apply_preferences(options, Preferences(memory=Memory(LAST))).settings == DEFAULT


def test_what_is_configured_is_under_what_the_command_line_says():
    preferences = Preferences(Configuration(ascii=True, mouse=False, problems=("theme is a text, not 3",)))
    options = apply_preferences(WatchOptions(DEFAULT), preferences)
    assert (options.ascii, options.mouse, options.problems) == (True, False, ("theme is a text, not 3",))
    assert not apply_preferences(WatchOptions(DEFAULT, mouse=False), Preferences()).mouse


def test_the_file_is_small_and_can_be_read_by_people(place):
    Memory.read(place).write(LAST)
    assert json.loads(place.read_text())["sampler"]["strategy"] == "remdm-loop"
    assert place.stat().st_size < 1_000
