"""Watching a run that is being trained: its newest checkpoint is shown, and no text is cut short for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from engine.files import run_layout
from engine.models import load_model
from engine.records import ModelChoice
from engine.training.config_file import read_config
from engine.training.data import prepare
from engine.training.loop import Trainer
from remdm_tui.app import WatchApp
from remdm_tui.settings.watch_options import WatchOptions
from remdm_tui.ui.charts import loss_chart
from remdm_tui.ui.panel_data import training_step
from remdm_tui.watch import player as playing
from remdm_tui.watch.follow_training import POLL_INTERVAL, READING_TIME, FollowedRun, training_run
from remdm_tui.watch.key_names import key
from tests.engine.texts import VOCABULARY, write_texts
from tests.tui.scripted import ScriptedLink
from tests.tui.terminal import Terminal
from tests.tui.test_app import CAP, written
from tests.waiting import seen


class Person:
    """Somebody who watches, and a clock that goes on only when told to."""

    def __init__(self, run: Path, **options: object) -> None:
        self.now, self.run, self.link = 0.0, run, ScriptedLink()
        self.saved = 0
        given = {"steps": 8, "length": 16} | options
        made = WatchOptions(CAP, ModelChoice(str(run)), follow=True, **given)
        self.watching = FollowedRun(made, lambda: self.link, clock=lambda: self.now)

    def save(self) -> None:
        """As training does."""
        self.saved += 1
        path = self.run / run_layout.CHECKPOINT
        path.write_text("state")
        os.utime(path, ns=(self.saved, self.saved))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            self.watching.tick(0.25)

    @property
    def loads(self) -> int:
        return len(self.link.opened)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    found = Person(tmp_path)
    found.save()
    found.watching.start()
    return found


def test_a_newer_checkpoint_comes_when_the_run_has_ended_and_was_there_to_read(person: Person) -> None:
    person.wait(2)
    assert (person.watching.player.done, person.loads) == (True, 1)
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 1
    record = person.watching.trace
    person.save()
    person.wait(POLL_INTERVAL)
    assert person.loads == 2
    assert person.watching.trace is record  # until the next run has begun
    person.wait(0.5)
    assert person.watching.trace is not record
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert (person.loads, person.watching.recorded) == (2, 8)


def test_a_run_on_screen_is_not_cut_short(tmp_path: Path) -> None:
    person = Person(tmp_path, paused=True)
    person.save()
    person.watching.start()
    person.wait(2)
    person.save()
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 1
    assert f"New checkpoint: loads after this run ({key('restart')}: now)" == person.watching.notice.text
    person.watching.restart(1)
    person.wait(1)
    assert (person.loads, person.link.seeds) == (2, [0, 1])


def test_a_view_that_was_moved_back_stays(person: Person) -> None:
    person.wait(2)
    person.watching.player = playing.back(person.watching.player)
    person.save()
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 1


def test_restarting_without_a_newer_checkpoint_loads_nothing(person: Person) -> None:
    person.wait(2)
    person.watching.restart(1)
    person.wait(1)
    assert (person.loads, person.link.seeds) == (1, [0, 1])


def test_the_step_of_the_model_is_reported(person: Person) -> None:
    path = person.run / run_layout.NEWEST / run_layout.STEP
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"step": 12_500}))
    person.wait(0.5)
    assert person.watching.notice.text.startswith("Model of step 12,500. The next checkpoint")


def logged(person: Person, steps: range, mode: str = "a") -> None:
    """As training does."""
    lines = (json.dumps({"step": step, "loss": 8 / step, "steps": 100, "rate": 1e-3}) for step in steps)
    with (person.run / "log.jsonl").open(mode) as file:
        file.writelines(f"{line}\n" for line in lines)


def test_step_and_losses_of_the_training_run_are_read_as_they_come(person: Person) -> None:
    assert person.watching.training is None
    logged(person, range(1, 5))
    with (person.run / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    person.wait(2 * POLL_INTERVAL)
    losses = person.watching.training
    assert losses is not None
    assert (losses.step, losses.steps, losses.loss) == (4, 100, 2.0)
    assert losses.values.tolist() == [8, 4, 8 / 3, 2]
    with (person.run / "log.jsonl").open("a") as file:
        file.write('ss": 1.5}\nno line of a log\n{"more": ' + "[" * 9999 + "\n")
    person.wait(2 * POLL_INTERVAL)
    assert person.watching.training.step == 5
    chart = loss_chart(person.watching.training)
    assert (chart.value, chart.top, chart.own) == ("1.500 at step 5", 8.0, True)
    assert training_step(person.watching.training) == ["training 5"]


def test_the_last_checkpoint_of_a_training_run_announces_no_other(person: Person) -> None:
    path = person.run / run_layout.NEWEST / run_layout.STEP
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"step": 100}))
    logged(person, range(99, 101))
    person.wait(0.5)
    assert person.watching.notice.text == "Model of step 100. The training run has ended"
    assert person.watching.model_step == 100
    person.watching.load(ModelChoice("demo"))
    person.wait(1)
    assert person.watching.model_step is None


def test_a_log_that_a_resumed_run_cut_is_read_anew(person: Person) -> None:
    logged(person, range(1, 9))
    person.wait(2 * POLL_INTERVAL)
    shorter = person.run / "other"
    shorter.write_text('{"step": 1, "loss": 8.0}\n')
    shorter.replace(person.run / "log.jsonl")
    person.wait(2 * POLL_INTERVAL)
    assert person.watching.training is not None
    assert person.watching.training.values.tolist() == [8]


def test_a_long_log_becomes_a_curve_of_bounded_length(person: Person) -> None:
    logged(person, range(1, 5001))
    person.wait(2 * POLL_INTERVAL)
    losses = person.watching.training
    assert losses is not None
    assert 512 <= len(losses.at) < 1025
    assert (losses.step, losses.at[-1]) == (5000, 5000)
    assert (np.diff(losses.values) < 0).all()


def test_another_model_has_no_training_run(person: Person) -> None:
    logged(person, range(1, 5))
    person.wait(2 * POLL_INTERVAL)
    person.watching.load(ModelChoice("demo"))
    person.wait(1)
    assert person.watching.training is None


async def test_the_training_step_stands_in_the_header_and_the_loss_among_the_curves(tmp_path: Path) -> None:
    (tmp_path / run_layout.CHECKPOINT).write_text("state")
    (tmp_path / "log.jsonl").write_text('{"step": 1200, "loss": 5.25, "steps": 9000}\n')
    options = WatchOptions(CAP, ModelChoice(str(tmp_path)), steps=8, length=16, follow=True, paused=True)
    async with WatchApp(options, ScriptedLink).run_test(size=(160, 48)) as pilot:
        await seen(pilot, lambda app: "training 1,200/9,000" in written(app.main.status))
        await seen(pilot, lambda app: "5.250 at step 1,200" in written(app.main.curves))


async def test_training_is_on_screen_before_its_first_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 12, "loss": 6.5, "steps": 9000}\n')
    options = WatchOptions(CAP, ModelChoice(str(tmp_path)), steps=8, length=16, follow=True)
    async with WatchApp(options, ScriptedLink).run_test(size=(120, 40)) as pilot:
        await seen(pilot, lambda app: "training 12/9,000" in written(app.main.status))
        await seen(pilot, lambda app: "6.500 at step 12" in written(app.main.curves))
        # nothing moves until a checkpoint is there
        await seen(pilot, lambda app: app.refresh_clock.resting)
        (tmp_path / run_layout.CHECKPOINT).write_text("state")
        await seen(pilot, lambda app: app.watching.has_record and "done" in written(app.main.status))


async def test_a_narrow_header_has_the_training_step(tmp_path: Path) -> None:
    (tmp_path / run_layout.CHECKPOINT).write_text("state")
    (tmp_path / "log.jsonl").write_text('{"step": 1200, "loss": 5.25, "steps": 9000}\n')
    options = WatchOptions(CAP, ModelChoice(str(tmp_path)), steps=8, length=16, follow=True, paused=True)
    async with WatchApp(options, ScriptedLink).run_test(size=(72, 20)) as pilot:
        await seen(pilot, lambda app: "training 1,200/9,000" in written(app.main.status))


def test_a_model_that_is_not_of_the_last_checkpoint_says_so(person: Person) -> None:
    path = person.run / run_layout.NEWEST / run_layout.STEP
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(run_layout.ExportNote(6, note="last.pt is damaged")))
    person.wait(0.5)
    assert person.watching.notice.text.startswith("Model of step 6 (last.pt is damaged). The next checkpoint")


def test_the_newest_step_file_counts_where_the_last_checkpoint_is_gone(person: Person) -> None:
    person.wait(READING_TIME + 4)
    last, kept = person.run / run_layout.CHECKPOINT, person.run / "step-00000001.pt"
    kept.hardlink_to(last)
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 1  # kept, and no newer
    last.unlink()
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 1
    kept.write_text("of later")
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert person.loads == 2


def test_the_first_checkpoint_is_waited_for(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.watching.start()
    person.wait(5)
    assert person.loads == 0
    assert person.watching.progress is not None
    assert "waiting for the first checkpoint" in person.watching.progress.stage
    person.save()
    person.wait(POLL_INTERVAL)
    assert person.loads == 1
    person.wait(1)
    assert person.watching.has_record


def test_waiting_can_be_cancelled(tmp_path: Path) -> None:
    person = Person(tmp_path)
    person.watching.start()
    person.wait(1)
    person.watching.cancel()
    person.save()
    person.wait(2)
    assert (person.loads, person.watching.progress) == (0, None)
    assert person.watching.state.needs_model is not None


def test_another_model_that_was_picked_is_left_alone(person: Person) -> None:
    person.wait(2)
    person.watching.load(ModelChoice("demo"))
    person.wait(2)
    person.save()
    person.wait(READING_TIME + 2 * POLL_INTERVAL)
    assert [choice.name for choice in person.link.opened] == [str(person.run), "demo"]


def test_what_is_no_training_run_of_this_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    for name in ("demo", "org/name", str(tmp_path)):
        with pytest.raises(ValueError, match="--follow needs --model with the directory of a training run"):
            training_run(name, elsewhere=False)
    with pytest.raises(ValueError, match="watch without --on"):
        training_run(str(tmp_path), elsewhere=True)


def test_the_real_thing(tmp_path: Path, terminal: Callable[..., Terminal]) -> None:
    """A run of two checkpoints: the first is on screen, then the second, whose model is another."""
    home = tmp_path / "run"
    home.mkdir()
    person = terminal("watch", "--model", str(home), "--follow", "--steps", "4", "--length", "12")
    person.wait(lambda screen: "waiting for the first checkpoint" in screen)
    config = read_config(f"""
model = {{vocab_size = {VOCABULARY}, hidden_size = 16, n_blocks = 1, n_heads = 2, cond_dim = 8, length = 12}}
run = {{steps = 6, batch = 4, checkpoint_every = 3, validate_every = 6, validation_windows = 4, precision = "float32"}}
""")
    trainer = Trainer(config, prepare([write_texts(tmp_path)], VOCABULARY, tmp_path), home, torch.device("cpu"))
    steps = trainer.run()
    for _ in range(4):
        next(steps)
    person.wait(lambda screen: "Model of step 3" in screen and "done" in screen)
    list(steps)
    person.wait(lambda screen: "Model of step 6" in screen and "done" in screen)
    assert load_model(str(home), "cpu").mask_id == VOCABULARY - 1
