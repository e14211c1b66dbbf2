"""The link against real processes: the engine itself, and ones that misbehave."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from engine import wire
from engine.records import ModelChoice, RunChoice, Settings
from engine.strategies import make_strategy, values
from remdm_tui.link.base import Died
from remdm_tui.link.process import ENGINE, ProcessLink
from tests import forks
from tests.waiting import PATIENCE, eventually

CHOICE = ModelChoice("demo", "cpu", "float32")
RUN = RunChoice(40, 24, batch=2, seed=5)
CAP = Settings("remdm-cap", values(make_strategy("remdm-cap")))


@pytest.fixture
def link():
    made = ProcessLink(forks.engine())
    made.start()
    yield made
    made.close()


def wait_for(link, kind):
    end = time.monotonic() + PATIENCE
    seen = []
    while time.monotonic() < end:
        for event in link.take():
            seen.append(event)
            if isinstance(event, kind):
                return event
        time.sleep(0.01)
    raise AssertionError(f"no {kind.__name__}, only {seen}")


def start_run(link, **options):
    link.open(CHOICE)
    wait_for(link, wire.Ready)
    link.begin(CAP, replace(RUN, **options))
    wait_for(link, wire.Began)


def caught_up(link):
    """Wait until the engine has answered again and again: a step that it should not take would come in between."""
    for _ in range(3):
        link.check_model()
        wait_for(link, wire.Checked)


def test_strategies_arrive_before_any_model(link):
    assert "remdm-cap" in [s.name for s in wait_for(link, wire.Hello).strategies]


def test_the_engine_takes_no_step_without_credit_and_no_more_than_it_has(link):
    start_run(link)
    caught_up(link)
    assert len(link.trace) == 0
    link.demand(3, renew=False)
    eventually(lambda: len(link.trace) >= 3)
    caught_up(link)
    assert len(link.trace) == 3
    assert link.outstanding == 0


def test_renewed_credit_runs_to_the_end(link):
    start_run(link)
    link.demand(3, renew=True)
    wait_for(link, wire.Finished)
    assert len(link.trace) == 40
    assert not link.trace.frame(40).masked.any()


def test_a_pause_takes_back_what_was_to_be_renewed(link):
    start_run(link, steps=100_000)
    link.demand(8, renew=True)
    eventually(lambda: len(link.trace) >= 5)
    link.demand(0, renew=False)
    assert link.outstanding == 0
    # what the engine answers now comes after the last step that it had begun
    caught_up(link)
    paused = len(link.trace)
    assert 5 <= paused < 100_000
    link.demand(2, renew=False)
    eventually(lambda: len(link.trace) >= paused + 2)
    caught_up(link)
    assert len(link.trace) == paused + 2


def test_what_is_watched_is_what_sample_gives(link):
    import engine

    start_run(link)
    link.demand(3, renew=True)
    wait_for(link, wire.Finished)
    model = engine.load_model("demo", device="cpu", dtype="float32")
    strategy = engine.make_strategy("remdm-cap")
    ids = engine.sample(model, strategy, steps=40, length=24, count=2, seed=5)
    assert (link.trace.frame(40).tokens == ids.numpy()).all()


def test_settings_act_on_the_next_step_and_bad_ones_are_refused(link):
    start_run(link)
    link.configure(Settings("mdlm", {}, top_p=0.5))
    link.configure(Settings("mdlm", {}, top_p=7))
    assert "0.01 to 1" in wait_for(link, wire.Rejected).reason
    link.demand(1, renew=False)
    eventually(lambda: len(link.trace))
    assert (link.trace.frame(1).settings.strategy, link.trace.frame(1).settings.top_p) == ("mdlm", 0.5)


def launched(program):
    """A link to a Python program in place of an engine."""
    link = ProcessLink([sys.executable, "-c", program])
    link.start()
    return link


GREET = "import io, sys, time; from engine import wire; out = sys.stdout.buffer; "


@pytest.mark.parametrize(
    ("program", "last", "permanent"),
    [
        ("print('hello, I am no engine\\nindeed not')", "indeed not", False),
        ("import time; print('no engine ' * 9000, flush=True); time.sleep(600)", "started no engine", True),
        (GREET + "wire.greet(out, '9.9.9', 99); time.sleep(600)", "remdm-tui 9.9.9 (protocol 99), this terminal", True),
        (GREET + "wire.greet(out, '1'); out.write(bytes(99)); out.flush(); time.sleep(600)", "cannot decode", False),
        (
            GREET + "wire.greet(out, '1'); out.write(b'x' * 99); out.flush(); time.sleep(600)",
            "not a sequence of messages",
            False,
        ),
        (GREET + "out.write(wire.MAGIC); out.flush()", "", False),
        ("print('\\x1b[2J')", "␛[2J", False),
    ],
)
def test_a_process_that_speaks_otherwise_is_reported_and_ended(program, last, permanent):
    link = launched(program)
    died = wait_for(link, Died)
    assert last in died.last
    assert died.permanent == permanent
    assert link._process.poll() is not None


def test_what_a_shell_prints_first_is_no_part_of_the_talk():
    noisy = launched(f"import os; print('Welcome to gpu-7!', flush=True); os.execv({ENGINE[0]!r}, {list(ENGINE)!r})")
    noisy.open(replace(CHOICE, name="no-such"))
    assert "unknown model" in wait_for(noisy, wire.Failed).reason
    noisy.close()


def test_an_engine_behind_a_terminal_gets_every_byte():
    """As with `srun --pty` or `docker exec -t`: a pseudo-terminal stands between, and stderr is mixed into it."""
    pty = f"import pty, sys; sys.exit(pty.spawn({list(ENGINE)!r}) >> 8)"
    link = launched(pty)
    start_run(link, seed=0x0A0D0311)
    link.demand(3, renew=True)
    wait_for(link, wire.Finished)
    assert len(link.trace) == 40
    link.close()


def test_a_closed_link_records_and_reports_nothing_more(link):
    start_run(link, steps=4000)
    link.demand(100, renew=True)
    link.close()
    link.take()
    recorded = len(link.trace)
    time.sleep(0.2)
    assert link.take() == []
    assert len(link.trace) == recorded


def test_the_last_words_of_a_dying_process_are_kept():
    link = ProcessLink([sys.executable, "-c", "import sys; sys.stderr.write('CUDA driver on fire\\n'); sys.exit(3)"])
    link.start()
    assert wait_for(link, Died) == Died(3, "CUDA driver on fire")
    link.demand(5, renew=True)
    link.close()


def test_closing_ends_the_process():
    link = ProcessLink()
    link.start()
    start_run(link)
    link.demand(3, renew=True)
    process = link._process
    assert isinstance(process, subprocess.Popen)
    link.close()
    assert process.poll() is not None
