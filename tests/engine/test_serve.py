"""The engine as a process: what it answers, in which order, and what it survives."""

from __future__ import annotations

import io
import queue
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from engine import __version__, strategies, wire
from engine.models.progress import LoadProgress
from engine.records import ModelChoice, RunChoice, Settings
from engine.sampling.session import Session
from engine.serve import Server
from tests.engine.toys import TextToy, Toy

OPEN = wire.Open(ModelChoice("toy", "cpu"))


def settings(strategy: str = "remdm-cap", knobs: dict[str, Any] | None = None, **shared: Any) -> wire.SettingsData:
    return wire.SettingsData.of(Settings(strategy, knobs or {}, **shared))


def begin(run: int = 0, *, steps: int = 4, prompt: str = "", **shared: Any) -> wire.Begin:
    return wire.Begin(run, settings(**shared), RunChoice(steps, length=6, batch=2, seed=3, prompt=prompt))


def answers(*commands: wire.Command, model: TextToy | None = None) -> list[wire.Event]:
    """Everything a server says to these commands and the end of the stream.

    All commands lie in the inbox from the beginning, so steps are taken only where it runs empty: at the end.
    """
    replies: list[wire.Event] = []
    inbox: queue.SimpleQueue[wire.Command | None] = queue.SimpleQueue()
    for command in commands:
        inbox.put(command)

    def send(event: wire.Event) -> None:
        replies.append(event)
        if isinstance(event, wire.Finished | wire.Failed):
            inbox.put(None)

    if not any(isinstance(command, wire.Credit) for command in commands):
        inbox.put(None)

    def load(choice: ModelChoice, progress: LoadProgress) -> Any:
        if choice.name != "toy":
            raise ValueError(f"unknown model {choice.name!r}")
        return model or TextToy()

    Server(send, load).serve(inbox)
    return replies


def kinds(events: list[wire.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_run_from_hello_to_finished() -> None:
    replies = answers(OPEN, begin(7), wire.Credit(100))
    assert kinds(replies) == ["Hello", "Loading", "Ready", "Began", *["Stepped"] * 4, "Finished"]
    hello, _, ready, began, *steps, finished = replies
    assert hello == wire.Hello(strategies.catalogue())
    assert ready == wire.Ready(TextToy().info)
    assert (began.run, began.steps, began.seed) == (7, 4, 3)
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert {step.run for step in steps} == {7} == {finished.run}


def test_the_frames_are_those_of_a_session() -> None:
    replies = answers(OPEN, begin(prompt="ba", knobs={"eta": 0.3}), wire.Credit(100))
    strategy = strategies.make_strategy("remdm-cap", eta=0.3)
    session = Session(Toy(), strategy, steps=4, length=6, batch=2, seed=3, prompt=[1, 0])
    began = next(event for event in replies if isinstance(event, wire.Began))
    assert np.array_equal(began.tokens.array(), session.tokens)
    assert began.locked.array().tolist() == [[True, True, False, False, False, False]] * 2
    got = [event.frame() for event in replies if isinstance(event, wire.Stepped)]
    for ours, theirs in zip(session, got, strict=True):
        assert np.array_equal(ours.tokens, theirs.tokens)
        assert ours.settings == theirs.settings


class Scripted:
    """An inbox that hands out commands; where the server looks without waiting, it may find nothing."""

    def __init__(self, script: list[wire.Command | str | None]) -> None:
        self.script = script
        self.waited = 0

    def get(self, block: bool) -> wire.Command | None:
        item = self.script.pop(0)
        if item == "nothing":
            assert not block, "the server waits although it has credit"
            raise queue.Empty
        self.waited += block
        assert not isinstance(item, str)
        return item


def scripted(*script: wire.Command | str | None) -> list[wire.Event]:
    replies: list[wire.Event] = []
    Server(replies.append, lambda choice, progress: TextToy(), clock=lambda: 0.0).serve(Scripted([*script, None]))  # type: ignore[arg-type]
    return replies


def test_the_server_takes_as_many_steps_as_it_has_credit_for_and_then_waits() -> None:
    inbox = Scripted([OPEN, begin(steps=9), wire.Credit(2), "nothing", "nothing", wire.Credit(1), "nothing", None])
    replies: list[wire.Event] = []
    Server(replies.append, lambda choice, progress: TextToy()).serve(inbox)  # type: ignore[arg-type]
    assert kinds(replies)[4:] == ["Stepped"] * 3
    assert inbox.script == []
    # it waits for: Open, Begin, the first credit, the second one and the end
    assert inbox.waited == 5


def test_a_new_run_starts_without_the_credit_of_the_last() -> None:
    inbox = Scripted([OPEN, begin(1), wire.Credit(3), "nothing", begin(2), None])
    replies: list[wire.Event] = []
    Server(replies.append, lambda choice, progress: TextToy()).serve(inbox)  # type: ignore[arg-type]
    assert kinds(replies)[3:] == ["Began", "Stepped", "Began"]
    assert inbox.script == []
    # without credit it waits: for Open, Begin, the credit and, after the second Begin, for the end
    assert inbox.waited == 4


def test_what_is_configured_holds_from_the_next_step_on() -> None:
    configure = wire.Configure(settings("mdlm", top_p=0.5))
    replies = scripted(OPEN, begin(steps=9), wire.Credit(9), "nothing", "nothing", configure, "nothing", "nothing")
    steps = [event.settings for event in replies if isinstance(event, wire.Stepped)]
    assert [step.strategy for step in steps] == ["remdm-cap", "remdm-cap", "mdlm", "mdlm"]
    assert [step.top_p for step in steps] == [0.9, 0.9, 0.5, 0.5]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (settings(knobs={"eta": 7.0}), "eta must lie in 0 to 1, not 7.0"),
        (settings(knobs={"etta": 0.1}), "remdm-cap has no knob 'etta'"),
        (settings("nemo"), "unknown strategy 'nemo'"),
        (settings(top_p=3.0), "top_p must lie in 0.01 to 1"),
        (settings(nucleus="both"), "nucleus must be one of"),
    ],
)
def test_a_bad_knob_is_rejected_and_changes_nothing(bad: wire.SettingsData, reason: str) -> None:
    replies = scripted(OPEN, begin(), wire.Credit(2), "nothing", wire.Configure(bad), "nothing")
    assert kinds(replies)[4:] == ["Stepped", "Rejected", "Stepped"]
    rejected = replies[5]
    assert isinstance(rejected, wire.Rejected)
    assert reason in rejected.reason
    first, second = (event.settings for event in replies if isinstance(event, wire.Stepped))
    assert first == second


def test_an_error_of_the_model_is_reported_and_the_run_goes_on_from_there() -> None:
    model = TextToy(good=2)
    replies: list[wire.Event] = []

    class Repaired(Scripted):
        def get(self, block: bool) -> wire.Command | None:
            if replies and isinstance(replies[-1], wire.Failed):
                model.broken = False
            return super().get(block)

    script = [OPEN, begin(steps=4), wire.Credit(9), *["nothing"] * 3, wire.Credit(9), *["nothing"] * 3, None]
    inbox = Repaired(script)
    Server(replies.append, lambda choice, progress: model).serve(inbox)  # type: ignore[arg-type]
    # it waits for: Open, Begin, the first credit, after the failure the second one, and the end
    assert inbox.waited == 5
    assert kinds(replies)[4:] == ["Stepped", "Stepped", "Failed", "Stepped", "Stepped", "Finished"]
    failed = replies[6]
    assert isinstance(failed, wire.Failed)
    assert (failed.stage, failed.reason) == ("step", "out of memory")
    assert "Traceback" in failed.detail
    whole = [event for event in answers(OPEN, begin(steps=4), wire.Credit(9)) if isinstance(event, wire.Stepped)]
    assert [event for event in replies if isinstance(event, wire.Stepped)] == whole


def test_a_model_that_fails_to_load_is_reported_and_another_can_be_loaded() -> None:
    replies = answers(wire.Open(ModelChoice("nemo")), OPEN, begin())
    assert kinds(replies) == ["Hello", "Loading", "Failed", "Loading", "Ready", "Began"]
    failed = replies[2]
    assert isinstance(failed, wire.Failed)
    assert (failed.stage, failed.reason) == ("load", "unknown model 'nemo'")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (begin(steps=0), "steps must be at least 1"),
        (begin(prompt="abcdeabcde"), "the prompt has 10 tokens and the canvas 6"),
        (begin(strategy="nemo"), "unknown strategy 'nemo'"),
        (begin(temperature=-1.0), "temperature must lie in"),
    ],
)
def test_a_run_that_cannot_begin_is_reported_and_another_can(command: wire.Begin, reason: str) -> None:
    replies = answers(OPEN, command, begin())
    assert kinds(replies)[3:] == ["Failed", "Began"]
    failed = replies[3]
    assert isinstance(failed, wire.Failed)
    assert failed.stage == "begin"
    assert reason in failed.reason


def test_nothing_can_begin_without_a_model() -> None:
    replies = answers(begin())
    assert kinds(replies) == ["Hello", "Failed"]
    assert isinstance(replies[1], wire.Failed)
    assert replies[1].reason == "no model is loaded"


def test_settings_and_credit_without_a_run_are_let_go() -> None:
    assert kinds(scripted(wire.Configure(settings()), wire.Credit(3))) == ["Hello"]


def test_quit_ends_it_at_once() -> None:
    assert kinds(scripted(OPEN, wire.Quit(), begin())) == ["Hello", "Loading", "Ready"]


def process(stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    """A real engine that gets these bytes and then the end of its stream."""
    return subprocess.run([sys.executable, "-P", "-m", "engine.serve"], input=stdin, capture_output=True, timeout=240)


def test_the_process_ends_when_its_input_does() -> None:
    done = process(b"")
    assert done.returncode == 0
    assert done.stderr == b""


def test_the_process_says_hello_before_any_request_and_ends_on_quit() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        assert engine.stdin is not None
        assert engine.stdout is not None
        assert wire.read_greeting(engine.stdout) == (wire.PROTOCOL, __version__)
        events = wire.events(engine.stdout)
        hello = next(events)
        wire.write(engine.stdin, wire.Begin(1, settings(), RunChoice(4, 4)))
        failed = next(events)
        wire.write(engine.stdin, wire.Quit())
        assert engine.wait(240) == 0
    assert isinstance(hello, wire.Hello)
    assert hello.strategies == strategies.catalogue()
    assert isinstance(failed, wire.Failed)
    assert failed.reason == "no model is loaded"


def test_the_process_says_on_stderr_why_it_cannot_go_on() -> None:
    done = process(b"ls -la\n" * 9)
    assert b"not a sequence of messages" in done.stderr
    assert b"Traceback" not in done.stderr
    out = io.BytesIO(done.stdout)
    if done.stdout:
        wire.read_greeting(out)
    assert all(isinstance(event, wire.Hello) for event in wire.events(out))


def stepped(events: list[wire.Event]) -> list[wire.Stepped]:
    return [event for event in events if isinstance(event, wire.Stepped)]


def unbroken() -> list[wire.Stepped]:
    """Nine steps; the strategy changes before the fourth and the nucleus before the seventh."""
    third = wire.Configure(settings("remdm-conf", {"eta": 0.5}))
    sixth = wire.Configure(settings("remdm-conf", {"eta": 0.5}, top_p=0.5))
    steps = ["nothing"] * 3
    return stepped(scripted(OPEN, begin(steps=9), wire.Credit(9), *steps, third, *steps, sixth, *steps))


@pytest.mark.parametrize("at", range(1, 10))
def test_a_run_goes_on_after_any_step_as_if_it_had_never_stopped(at: int) -> None:
    whole = unbroken()
    past = tuple((i, whole[i].settings) for i in (0, 3, 6) if i < at)
    resumed = wire.Begin(0, whole[min(at, 8)].settings, begin(steps=9).choice, at, past)
    later: list[wire.Command | str | None] = []
    for i in range(at, 9):
        later += [wire.Configure(whole[i].settings), "nothing"] if i in (3, 6) else ["nothing"]
    replies = scripted(OPEN, resumed, *["nothing"] * at, wire.Credit(9), *later)
    assert stepped(replies) == whole[at:]
    again = next(event for event in replies if isinstance(event, wire.Resumed))
    assert np.array_equal(again.tokens.array(), whole[at - 1].frame().tokens)


def test_a_knob_turned_while_steps_are_computed_again_acts_after_them() -> None:
    whole = unbroken()
    command = wire.Begin(0, whole[0].settings, begin(steps=9).choice, 3, ((0, whole[0].settings),))
    configure = wire.Configure(whole[3].settings)
    replies = scripted(OPEN, command, wire.Credit(3), "nothing", configure, *["nothing"] * 5)
    assert stepped(replies) == whole[3:6]


def test_a_record_longer_than_the_run_is_refused() -> None:
    command = wire.Begin(0, settings(), begin(steps=4).choice, 60, ((0, settings()),))
    replies = scripted(OPEN, command, *["nothing"] * 5)
    assert isinstance(replies[-1], wire.Failed)
    assert replies[-1].reason == "the run has 4 steps, so it cannot continue after 60"


def test_without_steps_there_is_one_for_each_position_to_fill() -> None:
    message = wire.Begin(0, settings("mdlm"), RunChoice(None, length=6, prompt="ba"))
    assert next(event for event in scripted(OPEN, message) if isinstance(event, wire.Began)).steps == 4


def test_progress_is_reported_ten_times_a_second_and_at_once_in_a_new_stage() -> None:
    times = iter(i / 100 for i in range(1000))
    replies: list[wire.Event] = []

    def load(choice: ModelChoice, progress: LoadProgress) -> Any:
        for stage in ("downloading", "reading"):
            for done in range(100):
                progress(stage, done, 100)
        return TextToy()

    Server(replies.append, load, lambda: next(times)).serve(Scripted([OPEN, None]))  # type: ignore[arg-type]
    reports = [event for event in replies if isinstance(event, wire.Loading)]
    assert reports[0] == wire.Loading("loading toy")
    assert 18 <= len(reports) <= 24
    assert [stage for stage in ("downloading", "reading") if wire.Loading(stage, 0, 100) in reports] == [
        "downloading",
        "reading",
    ]


def test_what_a_model_knows_is_measured_on_request() -> None:
    from engine.models import load_model

    replies: list[wire.Event] = []
    demo = load_model("demo", "cpu", "float32")
    Server(replies.append, lambda *_: demo).serve(Scripted([OPEN, wire.CheckModel(), None]))  # type: ignore[arg-type]
    assert isinstance(replies[-1], wire.Checked)
    assert replies[-1].check.loss < 4.5 < replies[-1].check.chance


def test_a_model_that_cannot_be_measured_is_reported_and_the_run_stays() -> None:
    replies = scripted(OPEN, begin(), wire.CheckModel(), wire.Credit(1), "nothing")
    assert kinds(replies)[4:] == ["Failed", "Stepped"]
    assert replies[4].stage == "check"
