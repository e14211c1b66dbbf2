"""`engine.record`: a run from Python whose every step is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import engine
from engine.models import TextModel
from engine.recording import Recording, recording
from engine.sampling.session import Session

RUN = {"steps": 12, "length": 16, "seed": 3}


@pytest.fixture(scope="module")
def model() -> TextModel:
    return engine.load_model("demo")


def last(kept: Recording, sample: int) -> torch.Tensor:
    trace = kept.trace(0)
    return torch.tensor(trace.tokens(len(trace), sample).tolist())


def test_it_ends_with_the_samples_of_the_same_seed(model: TextModel) -> None:
    strategy = engine.make_strategy("remdm-cap", eta=0.2)
    kept = engine.record(model, strategy, batch=2, prompt="Once upon", top_p=0.9, **RUN)
    ids = engine.sample(model, strategy, count=2, prompt=model.prompt("Once upon"), top_p=0.9, **RUN)
    assert torch.stack([last(kept, 0), last(kept, 1)]).equal(ids)
    assert kept.header.run.prompt == "Once upon"
    assert kept.header.model.name == "demo"
    assert kept.settings(0)[0][1].top_p == 0.9


@pytest.mark.parametrize("shape", [{"block_length": 8}, {"stride": 8, "strides": 1}])
def test_blocks_and_sliding_windows_are_kept_whole(model: TextModel, shape: dict[str, int]) -> None:
    strategy = engine.make_strategy("mdlm")
    kept = engine.record(model, strategy, **RUN, **shape)
    assert last(kept, 0).equal(engine.sample(model, strategy, **RUN, **shape)[0])
    assert kept.shape == (1, 16 + shape.get("stride", 0))


def test_a_file_holds_the_run_and_is_never_overwritten(model: TextModel, tmp_path: Path) -> None:
    out = tmp_path / "run.remdm"
    kept = engine.record(model, engine.make_strategy("mdlm"), out=out, **RUN)
    again = Recording.open(out)
    assert again.damage == ""
    assert last(again, 0).equal(last(kept, 0))
    with pytest.raises(FileExistsError):
        engine.record(model, engine.make_strategy("mdlm"), out=out, **RUN)


def test_an_interrupt_leaves_the_steps_until_then(
    model: TextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Session.__next__

    def interrupted(self: Session) -> object:
        if self.index == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Session, "__next__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.record(model, engine.make_strategy("mdlm"), out=tmp_path / "run.remdm", **RUN)
    kept = Recording.open(tmp_path / "run.remdm")
    assert (len(kept.trace(0)), kept.damage) == (5, "")


def test_bad_settings_leave_no_file(model: TextModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="top_p"):
        engine.record(model, engine.make_strategy("mdlm"), out=tmp_path / "run.remdm", top_p=7.0, **RUN)
    assert list(tmp_path.iterdir()) == []


def test_without_a_package_that_draws_it_a_recording_shows_no_page(
    model: TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "entry_points", lambda group: ())
    assert engine.record(model, engine.make_strategy("mdlm"), **RUN)._repr_html_() is None
