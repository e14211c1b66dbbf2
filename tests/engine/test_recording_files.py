"""Recordings that are torn, damaged, hostile, too new or in use: a sentence, or as much of them as is sound."""

from __future__ import annotations

import math
import os
import resource
import signal
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.recording import Recorder, Recording
from engine.recording import recorder as writing
from engine.recording.layout import MAGIC, PREAMBLE, RECORD, VERSION, Kind, pack_record
from engine.recording.scanning import bodies
from tests.engine.recordings import difference, header, recorded, session_of, start_of

MUTATIONS = 1_500


def read_all(path: Path) -> int:
    """Everything that a view may ask for; how many steps there were."""
    recording = Recording.open(path)
    try:
        steps = 0
        assert len(recording.model.pieces) == recording.header.model.vocab_size
        for branch in recording.branches:
            trace = recording.trace(branch.id)
            for position in range(len(trace) + 1):
                frame = trace.frame(position)
                assert trace.tokens(position, 0).shape == trace.held(position, 0).shape
                steps += frame is not None
            trace.settings()
            trace.edits()
            for name in ("masked", "calls"):
                assert len(trace.curves.column(name, 0)) == len(trace)
        return steps
    finally:
        recording.close()


def branched(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A small recording that holds one of everything; its steps, shared ones counted with each branch."""
    monkeypatch.setattr(writing, "KEY_EVERY", 4)
    session = session_of("remdm-conf", steps=11, length=9)
    start = start_of(session)
    recorder = Recorder.create(path, header(start), start)
    frames = list(session)
    for frame in frames:
        recorder.frame(0, frame)
    number = recorder.branch(0, 6)
    for frame in frames[6:8]:
        recorder.frame(number, frame)
    recorder.mark(0, 3, "a place")
    recorder.close()
    return len(frames) + 8


def test_a_file_torn_anywhere_is_read_up_to_the_last_whole_frame(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", steps=20)
    whole = (tmp_path / "run").read_bytes()
    file = os.open(tmp_path / "run", os.O_RDONLY)
    ends = [end for _, body, end in bodies(file, PREAMBLE.size) if body[0] == Kind.FRAME]
    begin = next(end for _, body, end in bodies(file, PREAMBLE.size) if body[0] == Kind.BRANCH)
    os.close(file)
    for size in range(begin, len(whole), 3):
        (tmp_path / "torn").write_bytes(whole[:size])
        recording = Recording.open(tmp_path / "torn")
        there = recording.trace()
        assert len(there) == sum(end <= size for end in ends)
        assert not recording.damaged
        assert ("breaks off: its last" in recording.damage) == (recording.end < size)
        for position in (len(there), len(there) // 2):
            frame, real = there.frame(position), trace.frame(position)
            assert (frame is None and real is None) or (frame and real and difference(frame, real) == "")
        recording.close()


def test_a_torn_file_is_gone_on_with_behind_its_last_whole_frame(tmp_path: Path) -> None:
    trace = recorded(tmp_path / "run", steps=100)
    whole = (tmp_path / "run").read_bytes()
    for size in (len(whole), len(whole) - 7, len(whole) * 2 // 3, len(whole) // 2):
        path = tmp_path / f"torn{size}"
        path.write_bytes(whole[:size])
        recorder = Recorder.resume(path, (*"abcde", "_"))
        live = recorder.trace()
        for position in range(len(live) + 1, len(trace) + 1):
            live.append(trace.frame(position))  # type: ignore[arg-type]
        recorder.close()
        again = Recording.open(path)
        assert again.damage == ""
        assert len(again.trace()) == len(trace)
        for position in range(1, len(trace) + 1):
            frame, real = again.trace().frame(position), trace.frame(position)
            assert frame is not None
            assert real is not None
            assert difference(frame, real) == ""
        np.testing.assert_array_equal(again.trace().curves.column("sigma", 1), trace.curves.column("sigma", 1))


PROGRAM = """
import sys
from tests.engine.recordings import busy_frames, header, WORDS
from engine.recording import Recorder
start, frames = busy_frames(100_000, 64, 6)
recorder = Recorder.create(sys.argv[1], header(start, len(WORDS), len(WORDS) - 1, WORDS), start)
for frame in frames:
    recorder.frame(0, frame)
    print(frame.index, flush=True)
"""


def test_a_writer_that_is_killed_loses_no_frame_that_it_had_written(tmp_path: Path) -> None:
    from tests.engine.recordings import busy_frames

    writer = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 300:
            break
    writer.send_signal(signal.SIGKILL)
    # what it said before it died
    saved_steps = [int(line) for line in writer.stdout.read().split("\n")[:-1] if line]
    writer.wait()
    last = max(saved_steps, default=300)
    recording = Recording.open(tmp_path / "run")
    trace = recording.trace()
    assert last + 1 <= len(trace) <= last + 2
    _, frames = busy_frames(100_000, 64, 6)
    for frame in frames:
        if frame.index >= len(trace):
            break
        again = trace.frame(frame.index + 1)
        assert again is not None
        assert difference(frame, again) == ""
    assert len(trace.curves.column("masked", 0)) == len(trace)


def test_a_damaged_middle_ends_the_recording_there_and_is_not_written_to(tmp_path: Path) -> None:
    recorded(tmp_path / "run", steps=40)
    data = bytearray((tmp_path / "run").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "run").write_bytes(data)
    recording = Recording.open(tmp_path / "run")
    assert 0 < len(recording.trace()) < 40
    assert "breaks off: its last" in recording.damage
    assert recording.damaged
    with pytest.raises(ValueError, match="breaks off: its last"):
        Recorder.resume(tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == data


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a recording of remdm-tui"),
        (b"PK\x03\x04" * 100, "is not a recording of remdm-tui"),
        (MAGIC, "is not a recording of remdm-tui"),
        (PREAMBLE.pack(MAGIC, VERSION + 1), f"is in format {VERSION + 1} of recordings and this remdm-tui reads"),
        (PREAMBLE.pack(MAGIC, 0), "is in format 0"),
        (PREAMBLE.pack(MAGIC, VERSION), "breaks off before its first step"),
        (PREAMBLE.pack(MAGIC, VERSION) + pack_record(Kind.MARK, b""), "begins with its header"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "run").write_bytes(content)
    for way in (Recording.open, Recorder.resume):
        with pytest.raises(ValueError, match=sentence):
            way(tmp_path / "run")


def test_a_recording_has_one_writer_and_is_never_overwritten(tmp_path: Path) -> None:
    session = session_of("mdlm")
    start = start_of(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    with pytest.raises(ValueError, match="is being written by another process"):
        Recorder.resume(tmp_path / "run")
    with pytest.raises(FileExistsError):
        Recorder.create(tmp_path / "run", header(start), start)
    recorder.close()
    Recorder.resume(tmp_path / "run").close()


def test_a_full_disk_leaves_what_was_recorded(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=60)
    start = start_of(session)
    frames = list(session)
    recorder = Recorder.create(tmp_path / "run", header(start), start)
    for frame in frames[:30]:
        recorder.frame(0, frame)
    size = os.path.getsize(tmp_path / "run")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            recorder.frame(0, frames[30])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert os.path.getsize(tmp_path / "run") == size
    # there is room again
    for frame in frames[30:]:
        recorder.frame(0, frame)
    recorder.close()
    assert len(Recording.open(tmp_path / "run").trace()) == len(frames)


# -- files that nobody wrote


LENGTHS = (0, 255, 65_535, 1 << 26, (1 << 31) - 1, (1 << 32) - 1)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with something done to them; every other time the checksums are put right again."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, kind = int(rng.integers(0, max(1, len(out)))), int(rng.integers(0, 6))
        size = int(rng.integers(1, 40))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            out[at : at + size] = rng.bytes(size)
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = rng.bytes(size)
        elif kind == 4:
            out[at : at + 4] = struct.pack(
                "<I", int(rng.choice([0, 255, 65_535, 1 << 26, (1 << 31) - 1, (1 << 32) - 1]))
            )
        else:
            there = int(rng.integers(0, max(1, len(out))))
            out[at:at] = out[there : there + size]
    return resigned(bytes(out)) if rng.integers(0, 2) else bytes(out)


def mutated_body(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of one record replaced, with the right checksum: what only a person who means it would write."""
    places, at = [], PREAMBLE.size
    while at + RECORD.size <= len(data):
        size = RECORD.unpack_from(data, at)[0]
        places.append((at, size))
        at += RECORD.size + size
    at, size = places[int(rng.integers(0, len(places)))]
    body = bytearray(data[at + RECORD.size : at + RECORD.size + size])
    for _ in range(int(rng.integers(1, 4))):
        if body:
            where = int(rng.integers(0, len(body)))
            body[where] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(0, 256))]))
    if rng.integers(0, 3) == 0:
        body = body[: int(rng.integers(1, len(body) + 1))]
    new = RECORD.pack(len(body), zlib.crc32(body)) + bytes(body)
    return data[:at] + new + data[at + RECORD.size + size :]


def resigned(data: bytes) -> bytes:
    """With the right checksum behind every length that fits."""
    out, at = bytearray(data), PREAMBLE.size
    while at + RECORD.size < len(out):
        size = RECORD.unpack_from(out, at)[0]
        if at + RECORD.size + size > len(out):
            break
        out[at : at + RECORD.size] = RECORD.pack(size, zlib.crc32(out[at + RECORD.size : at + RECORD.size + size]))
        at += RECORD.size + size
    return bytes(out)


def test_mutated_recordings_are_refused_in_a_sentence_or_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = branched(tmp_path / "run", monkeypatch)
    whole, path = (tmp_path / "run").read_bytes(), tmp_path / "mutated"
    rng = np.random.default_rng(7)
    ends: Counter[str] = Counter()
    for number in range(MUTATIONS):
        path.write_bytes((mutated, mutated_body)[number % 2](whole, rng))
        try:
            ends["shorter" if read_all(path) < steps else "as long"] += 1
        except ValueError as error:
            ends["a sentence" if str(error).strip() and "\n" not in str(error) else repr(error)] += 1
    assert set(ends) <= {"shorter", "as long", "a sentence"}
    assert min(ends["shorter"], ends["a sentence"]) > MUTATIONS // 20


def test_mutated_recordings_allocate_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    branched(tmp_path / "run", monkeypatch)
    whole, path = (tmp_path / "run").read_bytes(), tmp_path / "mutated"
    rng = np.random.default_rng(8)
    tracemalloc.start()
    for _ in range(100):
        path.write_bytes(mutated_body(whole, rng))
        with suppress(ValueError):
            read_all(path)
    # a vocabulary or a canvas of another size may be claimed, within what a reader is willing to allocate
    assert tracemalloc.get_traced_memory()[1] < 1 << 27
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ({"batch": 2, "length": 1 << 40}, "positions in all"),
        ({"batch": 1 << 20, "length": 1 << 20}, "positions in all"),
        ({"batch": 0}, "positions in all"),
        ({"length": -1}, "positions in all"),
        ({"steps": -1}, "cannot have -1 steps"),
        ({"created": math.inf}, "inf seconds since 1970"),
        ({"created": math.nan}, "nan seconds since 1970"),
    ],
)
def test_a_header_that_cannot_be_is_refused_before_anything_is_allocated(
    tmp_path: Path, claim: dict[str, Any], sentence: str
) -> None:
    from dataclasses import replace

    from engine.recording.entries import pack
    from engine.recording.layout import preamble

    start = start_of(session_of("mdlm"))
    made = replace(header(start), **claim)
    (tmp_path / "run").write_bytes(preamble() + pack_record(Kind.HEADER, pack(made)))
    with pytest.raises(ValueError, match=sentence):
        Recording.open(tmp_path / "run")


def test_a_keyframe_that_is_there_twice_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    branched(path, monkeypatch)
    data, at = path.read_bytes(), PREAMBLE.size
    while data[at + RECORD.size] != Kind.KEYFRAME:
        at += RECORD.size + RECORD.unpack_from(data, at)[0]
    end = at + RECORD.size + RECORD.unpack_from(data, at)[0]
    path.write_bytes(data[:end] + data[at:])
    assert "a keyframe of the recording is in the wrong place" in Recording.open(path).damage


def test_a_packed_state_that_swells_is_refused(tmp_path: Path) -> None:
    from engine.recording.entries import pack, written
    from engine.recording.index import FORK
    from engine.recording.layout import preamble
    from engine.recording.state import CLOCK

    start = start_of(session_of("mdlm"))
    bomb = CLOCK.pack(1, 0, 0, 0) + b"\0\0" + zlib.compress(bytes(1 << 26), 9)
    state = pack_record(Kind.BRANCH, FORK.pack(0, 0, 0) + bomb)
    (tmp_path / "run").write_bytes(preamble() + pack_record(Kind.HEADER, pack(written(header(start)))) + state)
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to another size"):
        Recording.open(tmp_path / "run").trace()
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_a_record_that_is_being_written_is_no_damage_of_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "run"
    recorded(path)
    whole = Recording.open(path)
    with path.open("ab") as file:
        file.write(b"\x01\x02")
    copy = whole.copy()
    assert (copy.damage, copy.damaged, len(copy.trace())) == ("", False, len(whole.trace()))
    assert "its last 2 bytes" in Recording.open(path).damage


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    program = (
        "import sys\nfrom engine.recording import Recording\ntrace = Recording.open(sys.argv[1]).trace()\n"
        "trace.frame(len(trace)), trace.curves.column('masked', 0)\n"
        "print(sorted({'torch', 'transformers', 'textual', 'rich', 'tokenizers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_bytes_of_parts_of_characters_are_in_a_recording_and_come_into_an_older_one(tmp_path: Path) -> None:
    session = session_of("remdm-cap", steps=8)
    start, parts = start_of(session), {token: bytes([0xE4 + token]) for token in range(5)}
    known = header(start)
    frames = list(session)
    for name, fragments in (("new", parts), ("old", {})):
        changed = replace(known, model=replace(known.model, fragments=fragments))
        recorder = Recorder.create(tmp_path / name, changed, start)
        for frame in frames[:4]:
            recorder.frame(0, frame)
        recorder.close()
    recorder = Recorder.resume(tmp_path / "old", known.model.pieces, parts)
    assert not recorder.recording.model.fragments
    for frame in frames[4:]:
        recorder.frame(0, frame)
    recorder.close()
    for name, there in (("new", frames[3]), ("old", frames[-1])):
        recording = Recording.open(tmp_path / name)
        found = recording.model.fragments
        assert {token: parts[token] for token in np.unique(there.tokens).tolist() if token in parts}.items() <= (
            found.items()
        )
        recording.close()
