"""Traces of other tools become recordings with the states that the tool went through."""

from __future__ import annotations

import errno
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.debug.inspect import story
from engine.lint import lint_recording
from engine.recording import Recorder, Recording
from engine.records import Change, Frame
from engine.traces import TraceOptions, fields_of, files, import_trace, read_structure
from tests.engine.recordings import recorded

M = 9
STATES = [[7, M, M, M], [7, 3, M, M], [7, 3, 4, M], [7, M, 4, 5], [7, 6, 4, 5], [7, 6, 2, 5]]
"""A prompt of one token, three reveals, a remask, a reveal, an edit."""
CHANGES = [
    [Change.LOCKED, Change.REVEALED, Change.MASKED, Change.MASKED],
    [Change.LOCKED, Change.HELD, Change.REVEALED, Change.MASKED],
    [Change.LOCKED, Change.REMASKED, Change.HELD, Change.REVEALED],
    [Change.LOCKED, Change.REVEALED, Change.HELD, Change.HELD],
    [Change.LOCKED, Change.HELD, Change.EDITED, Change.HELD],
]
TRACES = Path(__file__).parents[2] / "docs" / "traces.md"


def imported(tmp_path: Path, structure: Any, **options: Any) -> tuple[Recording, list[Frame]]:
    """The recording of a structure, and its frames."""
    path = tmp_path / "run.remdm"
    import_trace(fields_of(structure), TraceOptions(**options), path)
    recording = Recording.open(path)
    trace = recording.trace()
    return recording, [frame for n in range(1, len(trace) + 1) if (frame := trace.frame(n)) is not None]


def states_of(recording: Recording) -> list[list[int]]:
    trace = recording.trace()
    return [trace.tokens(n, 0).tolist() for n in range(len(trace) + 1)]


def test_a_full_disk_leaves_no_part_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Recorder.frame

    def frame(recorder: Recorder, branch: int, frame: Frame) -> None:
        if frame.index == 3:
            raise OSError(errno.ENOSPC, "No space left on device", "run.remdm")
        written(recorder, branch, frame)

    monkeypatch.setattr(Recorder, "frame", frame)
    with pytest.raises(OSError, match="No space left"):
        import_trace(fields_of(STATES), TraceOptions(mask_id=M), tmp_path / "run.remdm")
    assert list(tmp_path.iterdir()) == []


def test_states_become_frames_with_what_changed(tmp_path: Path) -> None:
    recording, frames = imported(tmp_path, {"ids": STATES})
    assert states_of(recording) == STATES
    assert [frame.change[0].tolist() for frame in frames] == CHANGES
    assert recording.header.model.mask_id == M
    assert recording.start.locked.tolist() == [[True, False, False, False]]
    assert (frames[0].t, frames[0].s) == (1.0, 0.8)
    assert frames[-1].s == 0
    # the plan is what happened
    assert frames[2].remask[0].tolist() == [0, 1, 0, 0]
    assert frames[4].edit_plan is not None
    assert frames[4].edit_plan[0].tolist() == [0, 0, 1, 0]


def test_probabilities_are_those_of_the_step_that_put_the_token(tmp_path: Path) -> None:
    p = [[None] * 4] + [[1, 0.1 * n, 0.1 * n + 0.01, 0.1 * n + 0.02] for n in range(1, 6)]
    for rows in (p, p[1:]):
        (tmp_path / "run.remdm").unlink(missing_ok=True)
        _, frames = imported(tmp_path, {"ids": STATES, "probabilities": rows})
        np.testing.assert_allclose(frames[1].held[0], [1, 0.1, 0.21, np.nan], rtol=1e-6)
        np.testing.assert_allclose(frames[4].held[0], [1, 0.4, 0.51, 0.32], rtol=1e-6)


def test_without_probabilities_none_is_made_up(tmp_path: Path) -> None:
    _, frames = imported(tmp_path, STATES)
    assert np.isnan(frames[-1].held[0, 1:]).all()


def test_a_batch_keeps_its_samples(tmp_path: Path) -> None:
    both = np.stack([STATES, np.where(np.array(STATES) == 5, 8, STATES)], 1)
    recording, _ = imported(tmp_path, both)
    assert recording.shape == (2, 4)
    assert recording.trace().tokens(5, 1).tolist() == [7, 6, 2, 8]


def test_states_that_grow_are_filled_with_masks(tmp_path: Path) -> None:
    recording, _ = imported(tmp_path, {"histories": [[[M, M]], [[1, M]], [[1, 2, M, M]], [[1, 2, 3, 4]]]})
    assert states_of(recording) == [[M, M, M, M], [1, M, M, M], [1, 2, M, M], [1, 2, 3, 4]]


def test_a_trace_without_its_first_state_begins_with_masks(tmp_path: Path) -> None:
    recording, frames = imported(tmp_path, STATES[1:], prompt_length=1, mask_id=M)
    assert states_of(recording) == STATES
    assert frames[0].change[0].tolist() == CHANGES[0]


@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_step_map_is_unfolded(tmp_path: Path, first: int) -> None:
    structure = {"step_map": [-1, first + 2, first, first], "ids": [7, 3, 4, 5]}
    recording, _ = imported(tmp_path, structure, mask_id=M)
    assert states_of(recording) == [[7, M, M, M], [7, M, 4, 5], [7, M, 4, 5], [7, 3, 4, 5]]
    assert recording.start.locked.tolist() == [[True, False, False, False]]


def test_an_answer_of_sglang_is_read(tmp_path: Path) -> None:
    answer = {"text": "x", "output_ids": [3, 4], "meta_info": {"id": "a", "step_maps": [1, 0]}}
    recording, _ = imported(tmp_path, answer, mask_id=M)
    assert states_of(recording) == [[M, M], [M, 4], [3, 4]]


def test_names_pieces_and_knobs_are_kept(tmp_path: Path) -> None:
    recording, frames = imported(
        tmp_path,
        {"ids": STATES, "strategy": "mine", "model": "big", "pieces": {"7": "It", "3": " was"}, "vocab_size": 20,
         "knobs": {"eta": 0.5, "top_p": 0.9, "remasks": True}},
    )  # fmt: skip
    settings = frames[0].settings
    assert (settings.strategy, dict(settings.knobs), settings.top_p) == ("mine", {"eta": 0.5, "remasks": True}, 0.9)
    assert (recording.header.model.name, recording.header.model.vocab_size) == ("big", 20)
    assert [recording.model.pieces[i] for i in (7, 3, M, 4)] == ["It", " was", "[MASK]", ""]


def test_one_of_our_names_makes_no_claim(tmp_path: Path) -> None:
    recording, frames = imported(tmp_path, {"ids": STATES, "strategy": "remdm-cap"})
    assert frames[0].settings.strategy == "remdm-cap (imported)"
    assert {one.check for one in lint_recording(recording) if one.found} == set()


def test_a_story_tells_what_changed_and_not_why(tmp_path: Path) -> None:
    _, frames = imported(tmp_path, STATES)
    moments = story(frames, 0, 1, seed=0).moments
    assert [(m.step, m.change, m.token) for m in moments] == [
        (1, Change.REVEALED, 3), (3, Change.REMASKED, 3), (4, Change.REVEALED, 6),
    ]  # fmt: skip
    assert all(np.isnan(m.drawn) and "does not say why" in m.why for m in moments)


def test_lint_finds_ties_that_go_leftmost_in_a_trace(tmp_path: Path) -> None:
    rows = np.where(np.arange(20) < np.arange(21)[:, None], np.arange(20) % 5, M)
    recording, _ = imported(tmp_path, {"ids": rows.tolist(), "probabilities": np.ones((21, 20)).tolist()})
    assert {one.check for one in lint_recording(recording) if one.found} == {"leftmost-ties", "one-token-nucleus"}


def test_a_run_of_ours_comes_back_with_its_states(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "ours.remdm", "remdm-loop", steps=24, length=12, batch=2)
    ids = np.stack([trace.start.tokens, *(trace.frame(n).tokens for n in range(1, 25))])  # type: ignore[union-attr]
    recording, frames = imported(tmp_path, ids)
    assert [f.change.tolist() for f in frames] == [trace.frame(n).change.tolist() for n in range(1, 25)]  # type: ignore[union-attr]
    assert recording.header.model.mask_id == 5


# -- files


def test_every_kind_of_file_gives_the_same_states(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"ids": STATES, "mask_id": M}))
    np.savez(tmp_path / "a.npz", ids=np.array(STATES), mask_id=M)
    np.save(tmp_path / "a.npy", np.array(STATES))
    torch.save([torch.tensor([row]) for row in STATES], tmp_path / "a.pt")
    torch.save({"history": tuple(torch.tensor([row]) for row in STATES)}, tmp_path / "b.pt")
    for name in ("a.json", "a.npz", "a.npy", "a.pt", "b.pt"):
        found = fields_of(read_structure(tmp_path / name))
        assert found.ids[:, 0].tolist() == STATES, name


def test_the_writer_in_the_docs_writes_what_is_read(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TRACES.read_text("utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 10
    space: dict[str, Any] = {}
    exec(code, space)
    writer = space["TraceWriter"](mask_id=M, strategy="mine")
    for n, row in enumerate(STATES):
        writer.add(torch.tensor(row), [0.5] * 4 if n else None)
    writer.save(tmp_path / "run.json")
    recording, frames = imported(tmp_path, read_structure(tmp_path / "run.json"))
    assert states_of(recording) == STATES
    assert frames[0].held[0, 1] == 0.5
    assert frames[0].settings.strategy == "mine"


class Evil:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('it ran')",)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"ids": Evil()}, tmp_path / "evil.pt")
    np.save(tmp_path / "evil.npy", np.array([Evil()], object), allow_pickle=True)
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "evil.npy", "raw.pt"):
        with pytest.raises(ValueError, match=r"evil|raw|whole numbers"):
            fields_of(read_structure(tmp_path / name))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ids.npy", bytes(1 << 16))
    monkeypatch.setattr(files, "LARGEST", 1 << 12)
    with pytest.raises(ValueError, match="unpacks to 65,536 bytes"):
        read_structure(tmp_path / "bomb.npz")


def header_of(shape: str) -> bytes:
    """Return the beginning of an npy file that claims a shape."""
    text = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_arrays_that_are_damaged_encrypted_or_too_large_are_refused_in_a_sentence(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", ids=np.array(STATES * 50))
    whole = (tmp_path / "whole.npz").read_bytes()
    start = whole.index(b"ids.npy") + len(b"ids.npy") + 20  # of what is packed
    flags = whole.index(b"PK\x01\x02") + 8  # of the only member, in the directory
    with zipfile.ZipFile(tmp_path / "xz.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("ids.npy", b"")
    files = {
        "torn.npz": whole[:start] + b"\xff" * 8 + whole[start + 8 :],
        "locked.npz": whole[:flags] + b"\x01" + whole[flags + 1 :],
        "xz.npz": (tmp_path / "xz.npz").read_bytes(),
        "open.npy": header_of("(1,"),
        "huge.npy": header_of("(1000000000000,)"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name} is not a readable numpy file") as caught:
            read_structure(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ({}, "there are no states"),
        ("text", "ids must hold whole numbers"),
        ([], "there are no states"),
        ([[1, M]], "one state"),
        ([[[[1]]]], "not of 4 dimensions"),
        ([[M, M], [1.5, 2]], "whole numbers"),
        ([[M, M], [-2, 1]], "token -2"),
        ([[M, M], [1 << 21, 1]], "token 2097152"),
        ([[M, M, M], [1, 2]], "shorter than the one before"),
        ([[[M, M]], [[1, 2], [3, 4, 5]]], "not an array of numbers"),
        ({"ids": STATES, "probabilities": [[0.5]]}, "probabilities have the shape"),
        ({"ids": [[M, M], [1, 2]], "probabilities": [[0.5, 2.0]]}, "must lie in 0 to 1, not 2"),
        ({"ids": STATES, "mask_id": "x" * 9999}, "mask_id must be a whole number"),
        ({"ids": STATES, "mask_id": 8}, "no state holds the mask 8: give it with --mask-id"),
        ({"ids": STATES, "prompt_length": 9}, "must lie in 0 to 3"),
        ({"ids": [[1, M, M], [2, 1, M], [2, 1, 1]], "prompt_length": 1, "mask_id": M}, "position 0 of sample 0"),
        ({"ids": STATES, "knobs": {"eta": [1]}}, "the knob 'eta'"),
        ({"ids": STATES, "knobs": {"eta": 10**60}}, "the knob 'eta' is 1000000"),
        ({"ids": STATES, "knobs": {"eta": float("nan")}}, "the knob 'eta' is nan: it must lie within 2^53"),
        ([torch.zeros(1, 2, dtype=torch.complex64)] * 2, "must hold whole numbers, not complex64"),
        ({"ids": STATES, "strategy": "a\nb"}, "strategy must be a name"),
        ({"ids": STATES, "pieces": 3}, "pieces must be"),
        ({"step_map": [1, 2]}, "without the text"),
        ({"step_map": [1, 2], "ids": [1, 2, 3]}, "must be equal"),
        ({"step_map": [1, 0], "ids": [1, 2]}, "which token is the mask: give it with --mask-id"),
        ({"step_map": [-1, -1], "ids": [1, 2], "mask_id": M}, "no step of 0 or more"),
        ({"step_map": [0, 1 << 40], "ids": [1, 2], "mask_id": M}, "too long"),
        ({"step_map": [0, 1 << 20], "ids": [1, 2], "mask_id": M}, "a step map of 1,048,577 steps is too long"),
        ({"step_map": [0, 1], "ids": [1, 2], "mask_id": 1 << 40}, "the mask must lie in 0 to 1,048,575"),
        ({"step_map": [0, 1], "ids": [1, 2], "mask_id": -1}, "the mask must lie in 0 to 1,048,575, not -1"),
        ({"ids": STATES, "vocab_size": 1 << 50}, "a vocabulary has at most"),
        ([[1, 2, 3], [4, 5, 3]], "begin as 1, 2"),
        ([[M, 1], [2, 1]], "which token is the mask"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path, structure: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        imported(tmp_path, structure)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert not (tmp_path / "run.remdm").exists()
