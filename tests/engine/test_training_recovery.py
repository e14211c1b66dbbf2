"""Runs whose files are damaged or gone, or not theirs."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import torch

from engine.files import recovery as checkpoints_of_runs
from engine.files.atomic import tidy
from engine.files.checkpoint_files import keep, read_state, write_state
from engine.files.checksums import checksum
from engine.files.locks import BusyError, exclusive
from engine.files.run_layout import STEP, WRITTEN, ExportNote, checkpoints, read_exported, stamp
from engine.models import load_model
from engine.models.readers.training_run import NETWORK, describe_checkpoint, export_newest
from engine.training import recovery
from engine.training.config import TrainConfig
from engine.training.config_file import read_config
from engine.training.data import Corpus, prepare
from engine.training.init_from import recovery_note
from engine.training.loop import Trainer
from tests.engine.texts import VOCABULARY, write_texts

CPU = torch.device("cpu")
CONFIG = read_config(
    f"""
[model]
vocab_size = {VOCABULARY}
hidden_size = 16
n_blocks = 1
n_heads = 2
cond_dim = 8
length = 16
[run]
steps = 7
batch = 4
ema = 0.9
checkpoint_every = 2
validate_every = 7
validation_windows = 4
keep = 2
precision = "float32"
"""
)


def with_run(**fields: int) -> TrainConfig:
    return msgspec.structs.replace(CONFIG, run=msgspec.structs.replace(CONFIG.run, **fields))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("recovery")
    return prepare([write_texts(home)], VOCABULARY, home / "cache")


def train(corpus: Corpus, home: Path, config: TrainConfig = CONFIG) -> Trainer:
    made = Trainer(config, corpus, home, CPU)
    list(made.run())
    return made


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_missing_last_checkpoint_is_the_newest_step_file(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path)
    (tmp_path / "last.pt").unlink()
    made = Trainer(with_run(steps=9), corpus, tmp_path, CPU)
    assert (made.step, made.resumed_from.name) == (7, "step-00000007.pt")
    assert "last.pt is missing: step-00000007.pt is the newest whole checkpoint" in made.recovered
    assert [progress.step for progress in made.run()] == [8, 9]
    assert {path.name for path in tmp_path.glob("step-*.pt")} == {"step-00000008.pt", "step-00000009.pt"}


def test_a_damaged_checkpoint_is_reported_and_kept_and_the_newest_whole_one_goes_on(
    corpus: Corpus, tmp_path: Path
) -> None:
    train(corpus, tmp_path)
    # step-00000007.pt is the same file
    flip(tmp_path / "last.pt")
    damaged = (tmp_path / "last.pt").read_bytes()
    made = Trainer(CONFIG, corpus, tmp_path, CPU)
    assert (made.step, made.resumed_from.name) == (6, "step-00000006.pt")
    assert "last.pt is damaged" in made.recovered
    list(made.run())
    assert (tmp_path / "last.pt.damaged-1").read_bytes() == damaged
    assert read_state(tmp_path / "last.pt", CPU)["step"] == 7


def test_a_model_comes_of_the_newest_whole_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path)
    flip(tmp_path / "last.pt")
    reported: list[str] = []
    for _ in range(2):
        reported.clear()
        model = load_model(str(tmp_path), "cpu", progress=lambda what, *_: reported.append(what))
        assert any("step-00000006.pt is the newest whole checkpoint" in what for what in reported)
        assert "last.pt is damaged" in model.recovered
        assert model.recovered in model.info.notes
    assert recovery_note(str(tmp_path)) == model.recovered
    # whole again
    write_state(tmp_path / "last.pt", read_state(tmp_path / "step-00000006.pt", CPU))
    assert load_model(str(tmp_path), "cpu").recovered == recovery_note(str(tmp_path)) == ""


def test_a_runs_tokenizer_is_missing_or_damaged_and_the_sentence_says_which(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path)
    file = tmp_path / "tokenizer.json"
    whole = file.read_bytes()
    flip(file)
    with pytest.raises(ValueError, match=r"tokenizer\.json is damaged: .*; continuing the run once writes it again$"):
        load_model(str(tmp_path), "cpu")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=r"tokenizer\.json is a named pipe, .*; continuing the run once"):
        load_model(str(tmp_path), "cpu")
    file.unlink()
    with pytest.raises(ValueError, match=r"has no tokenizer\.json: continue the run once to have it written$"):
        load_model(str(tmp_path), "cpu")
    list(Trainer(with_run(steps=8), corpus, tmp_path, CPU).run())
    assert file.read_bytes() == whole


def test_an_exports_note_that_is_a_pipe_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STEP)
    assert read_exported(tmp_path) == ExportNote()


def test_a_configuration_that_is_nested_deep_is_a_damaged_one(corpus: Corpus, tmp_path: Path) -> None:
    """At every key, and at one that no version knows: one that took anything there would recurse without end."""
    train(corpus, tmp_path)
    state, deep = read_state(tmp_path / "last.pt", CPU), "[" * 99_999
    with pytest.raises(RecursionError):
        msgspec.json.decode(deep)
    reported = msgspec.json.decode(state["config"])
    keys = [(name, key) for name, section in reported.items() if isinstance(section, dict) for key in section]
    places = [(name,) for name in (*reported, "unknown")] + keys + [(name, "unknown") for name, _ in keys]
    assert len(keys) > 30
    for place in dict.fromkeys(places):
        written = "".join(f'{{"{key}": ' for key in place) + deep
        with pytest.raises(ValueError, match="its configuration is wrong"):
            checkpoints_of_runs._read(tmp_path, state | {"config": written}, recovery._config)
    # an earlier version's says its network by its configuration, of which only that is read
    earlier = {name: value for name, value in state.items() if name != NETWORK} | {"config": f'{{"model": {deep}'}
    with pytest.raises(ValueError, match="its configuration is wrong"):
        checkpoints_of_runs._read(tmp_path, earlier, lambda state: describe_checkpoint(state, tmp_path))
    write_state(tmp_path / "last.pt", state | {"config": '{"unknown": ' + deep})
    assert "its configuration is wrong" in Trainer(CONFIG, corpus, tmp_path, CPU).recovered


def test_a_note_that_is_nested_deep_says_nothing(tmp_path: Path) -> None:
    (tmp_path / STEP).write_text('{"step": 3}')
    assert read_exported(tmp_path).step == 3
    (tmp_path / STEP).write_text('{"step": 3, "new": ' + "[" * 99_999)
    assert read_exported(tmp_path) == ExportNote()


def test_a_step_file_that_comes_back_is_the_newest_model(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path)
    (tmp_path / "last.pt").unlink()
    (tmp_path / "step-00000007.pt").rename(tmp_path / "away")
    assert export_newest(tmp_path).step == 6
    (tmp_path / "away").rename(tmp_path / "step-00000007.pt")
    assert export_newest(tmp_path).step == 7


def test_a_checkpoint_that_is_kept_leaves_the_run_as_new_as_it_was(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stamp(tmp_path / "none") is None
    train(corpus, tmp_path)
    before = stamp(tmp_path)
    keep(tmp_path / "last.pt", 8)
    assert stamp(tmp_path) == before
    monkeypatch.setattr("os.link", unlinked)
    keep(tmp_path / "last.pt", 9)
    assert stamp(tmp_path) == before
    assert len(checkpoints(tmp_path)) == 5


def unlinked(*given: object) -> None:
    raise PermissionError


@pytest.mark.parametrize("summed", [True, False])
def test_one_bit_is_seen_also_without_a_checksum_beside(corpus: Corpus, tmp_path: Path, summed: bool) -> None:
    list(islice(Trainer(with_run(keep=0), corpus, tmp_path, CPU).run(), 2))
    flip(tmp_path / "last.pt")
    if not summed:
        checksum(tmp_path / "last.pt").unlink()
    with pytest.raises(ValueError, match=r"last\.pt is damaged: .* restore a whole checkpoint"):
        Trainer(CONFIG, corpus, tmp_path, CPU)


def test_a_kill_between_checksum_and_checkpoint_leaves_a_whole_one(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Trainer(CONFIG, corpus, tmp_path, CPU)
    list(islice(made.run(), 2))
    import os

    real = os.replace

    def killed(source: Path, to: Path) -> None:
        if Path(to).name == "last.pt":
            raise KeyboardInterrupt
        real(source, to)

    monkeypatch.setattr("engine.files.atomic.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        made.save()
    monkeypatch.undo()
    assert Trainer(CONFIG, corpus, tmp_path, CPU).step == 2


@pytest.mark.parametrize("content", [{"step": 1}, [1], {"model": {}, "optimizers": [], "ema": {}, "step": "x"}])
def test_another_programs_checkpoint_is_named(corpus: Corpus, tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=r"last\.pt is not a checkpoint of a training run"):
        Trainer(CONFIG, corpus, tmp_path, CPU)


@pytest.mark.parametrize("name", ["best.pt", "log.jsonl", "samples.jsonl", "model/config.json", "tokenizer.json"])
def test_a_run_does_not_begin_over_the_files_of_another(corpus: Corpus, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    with pytest.raises(ValueError, match=f"holds .*{name.split('/')[0]}.* choose another --out"):
        Trainer(CONFIG, corpus, tmp_path, CPU)
    assert path.read_text() == "{}"


def test_only_step_files_of_this_run_are_deleted(corpus: Corpus, tmp_path: Path) -> None:
    foreign = tmp_path / "step-00000001.pt"
    made = Trainer(CONFIG, corpus, tmp_path, CPU)
    foreign.write_text("of somebody else")
    list(made.run())
    assert foreign.read_text() == "of somebody else"
    assert len(list(tmp_path.glob("step-*.pt"))) == 3


@pytest.mark.parametrize(
    ("field", "value"), [("batch", 10**12), ("validation_windows", 10**12)],
)  # fmt: skip
def test_what_no_memory_holds_is_refused_before_it_is_taken(
    corpus: Corpus, tmp_path: Path, field: str, value: int
) -> None:
    with pytest.raises(ValueError, match=rf"run\.{field} = {value} takes at least [\d,.]+ GiB on cpu"):
        Trainer(with_run(**{field: value}), corpus, tmp_path, CPU)


def test_a_network_that_no_memory_holds_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    model = msgspec.structs.replace(CONFIG.model, hidden_size=1 << 19, n_blocks=1000)
    with pytest.raises(ValueError, match=r"model\.hidden_size = 524288 takes at least"):
        Trainer(msgspec.structs.replace(CONFIG, model=model), corpus, tmp_path, CPU)


def test_a_directory_has_one_writer_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "run"),
        pytest.raises(BusyError, match="another run is at work in"),
        exclusive(tmp_path / "run"),
    ):
        pass
    with exclusive(tmp_path / "run"):
        pass


def test_what_a_kill_left_unfinished_goes_and_everything_else_stays(tmp_path: Path) -> None:
    left = ["last.pt.part", "last.pt.sha256.part", "step-00000002.pt.part", "step-00000002.pt.sha256.part"]
    stays = ["last.pt", "last.pt.sha256", "step-00000002.pt", "mine.part", "notes.pt.part"]
    for name in left + stays:
        (tmp_path / name).write_bytes(b"")
    tidy(tmp_path, WRITTEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stays)


def test_two_kills_between_checksums_and_file_leave_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    write_state(path, {"step": 1})
    with monkeypatch.context() as killed:
        killed.setattr("engine.files.atomic.os.replace", _killed)
        for step in (2, 3):
            with pytest.raises(KeyboardInterrupt):
                write_state(path, {"step": step})
    assert read_state(path, torch.device("cpu")) == {"step": 1}


def _killed(old: Path, new: Path) -> None:
    if Path(new).name == "last.pt":
        raise KeyboardInterrupt
    Path(old).rename(new)
