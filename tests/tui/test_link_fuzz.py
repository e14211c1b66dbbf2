"""Messages of an engine gone mad: whatever comes is refused in a sentence, or is something that can be drawn."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from engine import wire
from engine.strategies import catalogue
from remdm_tui.link.process import ProcessLink
from remdm_tui.render.canvas import canvas
from remdm_tui.ui.charts import Bands, charts
from tests.engine.recordings import session_of, start_of
from tests.engine.toys import TextToy

MUTATIONS = 2_000
DAMAGE = (0, 1, 127, 128, 255)


def talk() -> list[wire.Event]:
    """Return the messages of an engine from its start to the end of a run."""
    session = session_of("remdm-conf", steps=6, length=9)
    start = start_of(session)
    tokens, locked = wire.Array.of(start.tokens), wire.Array.of(np.ascontiguousarray(start.locked))
    frames = [wire.Stepped.of(1, frame) for frame in session]
    return [
        wire.Hello(catalogue()), wire.Ready(TextToy().info), wire.Began(1, tokens, locked, 6, 0), *frames,
        wire.Finished(1), wire.Rejected("no", "Fork"), wire.Switched(1, 0, 3),
    ]  # fmt: skip


def received(bodies: list[bytes]) -> ProcessLink:
    """Return a link that has received these messages after the start of a run."""
    link = ProcessLink(())
    link._run = 1
    for body in bodies:
        link._receive(wire._decode(wire._events, body))
    return link


def drawn(link: ProcessLink) -> None:
    """What the views ask of it."""
    trace, pieces = link.trace, next(e.model.pieces for e in link.take() if isinstance(e, wire.Ready))
    if trace is None:
        return
    for position in range(len(trace) + 1):
        shown = canvas(trace, position, 0)
        assert all(0 <= token < len(pieces) for token in shown.tokens.tolist())
    charts(trace, len(trace), 0, Bands())


def test_mutated_messages_are_refused_in_a_sentence_or_can_be_drawn() -> None:
    encoder, rng = msgspec.msgpack.Encoder(), np.random.default_rng(5)
    whole = [encoder.encode(event) for event in talk()]
    ends = Counter[str]()
    for _ in range(MUTATIONS):
        which = int(rng.integers(0, len(whole)))
        body = bytearray(whole[which])
        for _ in range(int(rng.integers(1, 4))):
            body[int(rng.integers(0, len(body)))] = int(rng.choice([*DAMAGE, int(rng.integers(0, 256))]))
        # in the middle of a frame's arrays or of anything else; the others are whole
        sent = [*whole[:which], bytes(body), *whole[which + 1 :]] if which else [bytes(body)]
        try:
            link = received(sent)
            if which:
                drawn(link)
            ends["drawn"] += 1
        except ValueError as error:
            ends["a sentence" if str(error).strip() else "nothing"] += 1
    assert set(ends) == {"drawn", "a sentence"}
    assert min(ends.values()) > MUTATIONS // 20
