"""The bytes between terminal and engine."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from engine import strategies, wire
from engine.debug.findings import Drafts, Hit, Ranked, TokenPrediction, Verdict, Violation
from engine.records import Branch, Edit, GridLayout, ModelCheck, ModelChoice, ModelInfo, RunChoice, Settings
from engine.sampling.session import Session
from tests.engine.toys import TextToy, Toy

TEXT = st.text(max_size=30)
NUMBER = st.integers(0, 1 << 40)
FLOAT = st.floats(allow_nan=False)
SETTINGS = st.builds(
    wire.SettingsData,
    strategy=TEXT,
    knobs=st.dictionaries(TEXT, st.one_of(FLOAT, st.integers(-(1 << 50), 1 << 50), TEXT, st.booleans()), max_size=4),
    top_p=FLOAT,
    nucleus=TEXT,
    temperature=FLOAT,
    draw=TEXT,
)
RUN = st.builds(
    RunChoice,
    steps=st.none() | NUMBER,
    length=NUMBER,
    batch=NUMBER,
    seed=st.integers(-(1 << 62), 1 << 62),
    prompt=TEXT,
    chat=st.booleans(),
    block_length=st.none() | NUMBER,
)
MODEL = st.builds(
    ModelInfo,
    name=TEXT,
    parameters=NUMBER,
    dtype=TEXT,
    device=TEXT,
    vocab_size=NUMBER,
    mask_id=NUMBER,
    max_length=st.none() | NUMBER,
    time_conditioned=st.booleans(),
    pieces=st.lists(TEXT, max_size=5).map(tuple),
    backend=TEXT,
    layout=st.none() | st.builds(GridLayout, *[st.integers(1, 64)] * 4, distinct=st.booleans()),
)


NUMBERS = st.lists(NUMBER, max_size=4).map(tuple)
EDIT = st.builds(
    Edit,
    kind=st.sampled_from(["mask", "force", "lock", "unlock", "prompt"]),
    sample=st.none() | NUMBER,
    position=NUMBER,
    tokens=NUMBERS,
    held=FLOAT,
)
BRANCH = st.builds(Branch, id=NUMBER, parent=st.none() | NUMBER, at=NUMBER)
HIT = st.builds(
    Hit, breakpoint=NUMBER, text=TEXT, message=TEXT, step=NUMBER, samples=NUMBERS, positions=NUMBERS,
)  # fmt: skip
VIOLATION = st.builds(
    Violation, law=TEXT, step=NUMBER, formula=TEXT, message=TEXT,
    numbers=st.lists(st.tuples(TEXT, FLOAT), max_size=3).map(tuple),
)  # fmt: skip
PREDICTION = st.builds(
    TokenPrediction, step=NUMBER, sample=NUMBER, position=NUMBER, token=NUMBER, masked=st.booleans(),
    top=st.lists(st.builds(Ranked, token=NUMBER, probability=FLOAT, kept=st.booleans()), max_size=3).map(tuple),
    nucleus=NUMBER, entropy=FLOAT, own=FLOAT,
    verdicts=st.lists(
        st.builds(Verdict, strategy=TEXT, unmask=FLOAT, remask=FLOAT, problem=TEXT), max_size=3
    ).map(tuple),
)  # fmt: skip
DRAFTS = st.builds(
    Drafts, step=NUMBER, sample=NUMBER, positions=NUMBERS, tokens=NUMBERS,
    probabilities=st.lists(FLOAT, max_size=3).map(tuple), entropies=st.lists(FLOAT, max_size=3).map(tuple),
)  # fmt: skip


def array(dtype: str) -> st.SearchStrategy[wire.Array]:
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
    return hnp.arrays(dtype, shapes).map(wire.Array.of)


COMMANDS = {
    wire.Open: (st.builds(ModelChoice, name=TEXT, mask_id=st.none() | NUMBER, tokenizer=st.none() | TEXT),),
    wire.Begin: (
        NUMBER,
        SETTINGS,
        RUN,
        NUMBER,
        st.lists(st.tuples(NUMBER, SETTINGS), max_size=3).map(tuple),
        st.lists(st.tuples(NUMBER, EDIT), max_size=3).map(tuple),
        NUMBER,
    ),
    wire.Configure: (SETTINGS,),
    wire.Credit: (NUMBER, NUMBER),
    wire.CheckModel: (),
    wire.Fork: (BRANCH, st.none() | SETTINGS),
    wire.Switch: (NUMBER,),
    wire.Together: (NUMBERS,),
    wire.Alter: (EDIT,),
    wire.Break: (NUMBER, TEXT, st.none() | NUMBER),
    wire.Clear: (st.none() | NUMBER,),
    wire.Look: (NUMBER, NUMBER, st.none() | NUMBER, NUMBER),
    wire.Draft: (NUMBER, st.none() | NUMBER),
    wire.UseFile: (TEXT,),
    wire.Quit: (),
}
EVENTS = {
    wire.Hello: (st.just(strategies.catalogue()), st.lists(TEXT, max_size=2).map(tuple)),
    wire.Loading: (TEXT, NUMBER, NUMBER),
    wire.Ready: (MODEL,),
    wire.Began: (NUMBER, array("<i4"), array("|b1"), NUMBER, NUMBER),
    wire.Stepped: (
        NUMBER,
        NUMBER,
        st.tuples(FLOAT, FLOAT, FLOAT, FLOAT),
        st.tuples(array("<i4"), array("|u1"), array("<f4"), array("<f4"), array("<f4")),
        NUMBER,
        SETTINGS,
        FLOAT,
        st.booleans(),
        NUMBER,
        NUMBER,
        st.none() | EDIT,
    ),
    wire.Replaying: (NUMBER, NUMBER, NUMBER),
    wire.Resumed: (NUMBER, array("<i4")),
    wire.Checked: (st.builds(ModelCheck, loss=FLOAT, chance=FLOAT, tokens=NUMBER),),
    wire.Finished: (NUMBER, NUMBER),
    wire.Switched: (NUMBER, NUMBER, NUMBER),
    wire.Stopped: (NUMBER, NUMBER, NUMBER, st.lists(HIT, max_size=2).map(tuple)),
    wire.Broken: (NUMBER, NUMBER, VIOLATION),
    wire.Looked: (NUMBER, NUMBER, PREDICTION),
    wire.Drafted: (NUMBER, NUMBER, DRAFTS),
    wire.FileLoaded: (TEXT, TEXT, st.sampled_from(strategies.catalogue())),
    wire.StrategyFailed: (NUMBER, NUMBER, NUMBER, st.integers(-1, 1 << 40), TEXT, TEXT),
    wire.Rejected: (TEXT, TEXT),
    wire.Failed: (st.sampled_from(["load", "begin", "step", "check", "debug"]), TEXT, TEXT),
}


def any_of(kinds: dict[type, tuple[st.SearchStrategy[Any], ...]]) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.builds(kind, *fields) for kind, fields in kinds.items()))


def sent(*messages: wire.Message) -> bytes:
    stream = io.BytesIO()
    for message in messages:
        wire.write(stream, message)
    return stream.getvalue()


@given(st.lists(any_of(COMMANDS), max_size=4))
def test_commands_arrive_as_they_were_sent(messages: list[wire.Command]) -> None:
    assert list(wire.commands(io.BytesIO(sent(*messages)))) == messages


@given(st.lists(any_of(EVENTS), max_size=3))
def test_events_arrive_as_they_were_sent(messages: list[wire.Event]) -> None:
    assert list(wire.events(io.BytesIO(sent(*messages)))) == messages


def test_every_message_is_covered_here() -> None:
    assert set(COMMANDS) == set(wire.Command.__args__)
    assert set(EVENTS) == set(wire.Event.__args__)


@given(hnp.arrays(st.sampled_from(["<i4", "|u1", "<f4", "|b1"]), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0)))
def test_an_array_arrives_as_it_was(array: NDArray[Any]) -> None:
    again = wire.Array.of(array).array()
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")
    assert not again.flags.writeable


def test_an_array_that_is_not_contiguous_arrives_as_it_was() -> None:
    array = np.arange(24, dtype=np.int32).reshape(4, 6)
    for odd in (array.T, array[::2], array[:, ::-1], np.broadcast_to(array[0], (3, 6))):
        assert np.array_equal(wire.Array.of(odd).array(), odd)


def test_what_is_constant_along_an_axis_is_sent_once() -> None:
    column = np.array([[0.1], [0.2]], dtype=np.float32)
    array = wire.Array.of(np.broadcast_to(column, (2, 4096)))
    assert len(array.data) == 8
    assert np.array_equal(array.array(), np.broadcast_to(column, (2, 4096)))


def test_a_frame_takes_nine_bytes_a_position_where_the_plan_is_of_times_alone() -> None:
    """Four for the token, one for the change, four for what was held; the rest does not grow."""
    strategy = strategies.make_strategy("remdm-cap")
    frames = (next(Session(Toy(), strategy, steps=8, length=length)) for length in (30, 120))
    small, large = (len(sent(wire.Stepped.of(0, frame))) for frame in frames)
    assert 90 * 9 <= large - small < 90 * 9 + 16


def test_a_frame_arrives_as_it_was() -> None:
    session = Session(Toy(), strategies.make_strategy("remdm-conf"), steps=8, length=10, batch=2, prompt=[1])
    next(session)
    session.edit(Edit("force", 1, 4, (2,)))
    session.rewind(0)
    for frame in session:
        (event,) = wire.events(io.BytesIO(sent(wire.Stepped.of(3, frame, 2))))
        assert isinstance(event, wire.Stepped)
        again = event.frame()
        assert (event.run, event.branch) == (3, 2)
        for name in ("index", "t", "s", "alpha_t", "alpha_s", "network_calls", "settings", "excess", "final", "edit"):
            assert getattr(again, name) == getattr(frame, name)
        for name in ("tokens", "change", "held", "unmask", "remask"):
            assert np.array_equal(getattr(again, name), getattr(frame, name), equal_nan=True)


def test_settings_arrive_as_they_were() -> None:
    settings = Settings("remdm-cap", {"eta": 0.1, "when": "loop"}, 0.7, "inclusive", 0.5, "gumbel-float64")
    assert wire.SettingsData.of(settings).settings() == settings


def test_a_models_description_arrives_as_it_was() -> None:
    info = TextToy().info
    assert list(wire.events(io.BytesIO(sent(wire.Ready(info))))) == [wire.Ready(info)]


@pytest.mark.parametrize("kept", [1, 3, 4, 8, 9, -1])
def test_a_stream_that_is_cut_off_ends_with_the_last_whole_message(kept: int) -> None:
    whole, half = sent(wire.Credit(1)), sent(wire.Open(ModelChoice("demo")))
    assert list(wire.commands(io.BytesIO(whole + half[:kept]))) == [wire.Credit(1)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\xff\xff\xff",
        msgspec.msgpack.encode(3),
        msgspec.msgpack.encode({"type": "Explode"}),
        msgspec.msgpack.encode({"type": "Credit"}),
        msgspec.msgpack.encode({"type": "Credit", "steps": "many"}),
        msgspec.msgpack.encode({"type": "Credit", "steps": 1, "more": 2}),
        msgspec.msgpack.encode({"type": "Finished", "run": 1}),
        msgspec.msgpack.encode({"type": "Open", "choice": {"name": "demo", "more": 3}})[:-1] + b"\x91" * 9999 + b"\xc0",
        msgspec.msgpack.encode({"type": "Open", "choice": {"name": "demo"}})[:-4] + b"\xff" * 4,
    ],
)
def test_bytes_that_are_no_command_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="cannot decode a message"):
        list(wire.commands(io.BytesIO(wire.HEADER.pack(len(body), zlib.crc32(body)) + body)))


@given(any_of(COMMANDS), st.data())
def test_a_message_damaged_on_its_way_is_refused(message: wire.Command, data: st.DataObject) -> None:
    whole = bytearray(sent(message))
    whole[data.draw(st.integers(wire.HEADER.size, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="damaged in transit"):
        list(wire.commands(io.BytesIO(whole)))


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_the_greeting_is_found_behind_whatever_a_shell_prints(noise: bytes, rest: bytes) -> None:
    assume((noise + wire.MAGIC).index(wire.MAGIC) == len(noise))
    stream = io.BytesIO()
    stream.write(noise)
    wire.greet(stream, "1.2.3", 7)
    stream.write(rest)
    stream.seek(0)
    assert wire.read_greeting(stream) == wire.Greeting(7, "1.2.3")
    assert stream.read() == rest


def test_a_stream_without_a_greeting_is_refused_with_what_it_sent() -> None:
    with pytest.raises(ValueError, match="command not found"):
        wire.read_greeting(io.BytesIO(b"sh: remdm-tui: command not found\n"))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_greeting_that_is_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        wire.read_greeting(io.BytesIO(wire.MAGIC + bytes(kept)))


def test_a_message_is_on_its_way_when_it_is_written() -> None:
    """Nothing waits in a buffer for the next one, which may be the answer to it."""
    for send in (lambda stream: wire.greet(stream, "1"), lambda stream: wire.write(stream, wire.CheckModel())):
        arrived = io.BytesIO()
        stream = io.BufferedWriter(arrived)  # type: ignore[arg-type]
        send(stream)
        assert arrived.getvalue()
        stream.detach()


def test_the_greeting_is_not_looked_for_without_end() -> None:
    stream = io.BytesIO(bytes(10 * wire.NOISE))
    with pytest.raises(ValueError, match="\0"):
        wire.read_greeting(stream)
    assert stream.tell() <= wire.NOISE + 2


def test_a_greeting_is_found_behind_as_much_as_may_be_there() -> None:
    stream = io.BytesIO()
    stream.write(bytes(wire.NOISE - len(wire.MAGIC) + 1))
    wire.greet(stream, "1.2.3", 7)
    stream.seek(0)
    assert wire.read_greeting(stream) == wire.Greeting(7, "1.2.3")


@given(st.binary(max_size=60))
def test_any_bytes_end_cleanly_or_are_refused(garbage: bytes) -> None:
    for read in (wire.commands, wire.events):
        whole = 0
        with suppress(ValueError):
            for _ in read(io.BytesIO(garbage)):
                whole += 1
        assert whole * 5 <= len(garbage)


def test_a_length_nobody_sends_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="not a sequence of messages"):
        list(wire.events(io.BytesIO(wire.HEADER.pack(wire.LARGEST + 1, 0))))


@pytest.mark.parametrize(
    ("shape", "kept", "data"),
    [
        ((2, 3), (2, 3), bytes(20)),
        ((2, 3), (2, 2), bytes(16)),
        ((2, 3), (-2, -3), bytes(24)),
        ((1 << 20, 1 << 20), (1, 1), bytes(4)),
        ((-1, 3), (1, 3), bytes(12)),
        ((2, 3), (6,), bytes(24)),
    ],
)
def test_an_array_whose_sizes_contradict_each_other_is_refused(
    shape: tuple[int, ...], kept: tuple[int, ...], data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wire.Array("<f4", shape, kept, data).array()


def test_a_frame_whose_arrays_differ_in_shape_is_refused() -> None:
    frame = next(Session(Toy(), strategies.make_strategy("mdlm"), steps=4, length=6))
    stepped = wire.Stepped.of(0, frame)
    short = wire.Array.of(np.zeros((1, 5), np.uint8))
    flat = wire.Array.of(np.zeros(6, np.int32))
    tokens, _, *rest = stepped.arrays
    for arrays in ((tokens, short, *rest), (flat,) * 5):
        with pytest.raises(ValueError, match="the arrays of a frame differ in shape"):
            msgspec.structs.replace(stepped, arrays=arrays).frame()


def read_through(read: Any, body: bytes) -> None:
    """What a reader does with a message's body under a right checksum: it takes it whole or refuses it."""
    stream = io.BytesIO(wire.HEADER.pack(len(body), zlib.crc32(body)) + body)
    with suppress(ValueError):
        for message in read(stream):
            # what is taken is whole: it can be sent again and read as the same
            again = list(read(io.BytesIO(sent(message))))
            assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode([message])
            if isinstance(message, wire.Stepped):
                message.frame()
            if isinstance(message, wire.Began | wire.Resumed):
                message.tokens.array()


@settings(max_examples=400)
@given(any_of(COMMANDS) | any_of(EVENTS), st.data())
def test_a_message_that_was_tampered_with_is_taken_whole_or_refused(message: Any, data: st.DataObject) -> None:
    body = bytearray(sent(message)[wire.HEADER.size :])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for read in (wire.commands, wire.events):
        read_through(read, bytes(body))
        read_through(read, bytes(body[: data.draw(st.integers(0, len(body)))]))


HUGE = st.sampled_from([-1, 0, 1, 2, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


@given(st.lists(HUGE, max_size=4), st.lists(HUGE, max_size=4), st.binary(max_size=16))
def test_an_array_of_any_claimed_size_is_refused_or_small(shape: list[int], core: list[int], data: bytes) -> None:
    with suppress(ValueError):
        array = wire.Array("<f4", tuple(shape), tuple(core), data).array()
        assert array.size <= wire.LARGEST
