"""An engine without a network: frames in which a tenth of the tokens changes, as fast as they are requested.

    remdm-tui watch --remote-command "python scripts/busy_engine.py"

For measuring what the terminal costs and how it answers under the heaviest load there is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine import __version__, strategies, wire
from engine.records import Change, Frame, ModelInfo, RunChoice, Settings
from engine.sampling.trace import RunStart

ENGINE = (sys.executable, str(Path(__file__).resolve()))
CHANGED = 0.1
"""Share of the positions that change in a step."""
MASK = 4_000


def _words() -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return tuple(" " + "".join(rng.choice(letters, rng.integers(1, 7))) for _ in range(MASK))


WORDS = (*_words(), "[MASK]")


def model() -> ModelInfo:
    return ModelInfo("busy", 1_000, "float32", "cpu", len(WORDS), MASK, None, False, WORDS, "none", "toy")


def start_of(length: int, steps: int, seed: int = 0, batch: int = 1) -> RunStart:
    return RunStart(np.full((batch, length), MASK, np.int32), np.zeros((batch, length), bool), steps, seed)


def frames(start: RunStart, count: int, settings: Settings, changed: float = CHANGED) -> Iterator[Frame]:
    """From half masked on, a share of the positions is revealed or remasked at every step."""
    rng, shape = np.random.default_rng(start.seed), start.tokens.shape
    tokens = np.where(rng.random(shape) < 0.5, rng.integers(0, MASK, shape), MASK).astype(np.int32)
    held = np.where(tokens == MASK, np.nan, 0.5).astype(np.float32)
    unmask, remask = (np.broadcast_to(np.float32(changed), shape) for _ in range(2))
    for i in range(count):
        where, hidden = rng.random(shape) < changed, tokens == MASK
        up, down = where & hidden, where & ~hidden
        tokens = np.where(up, rng.integers(0, MASK, shape), np.where(down, MASK, tokens)).astype(np.int32)
        held = np.where(up, rng.random(shape), np.where(down, np.nan, held)).astype(np.float32)
        change = np.where(hidden, Change.MASKED, Change.HELD).astype(np.uint8)
        change[up], change[down] = Change.REVEALED, Change.REMASKED
        t, s = 1 - i / count, 1 - (i + 1) / count
        yield Frame(i, t, s, 1 - t, 1 - s, tokens, change, held, unmask, remask, i + 1, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changed", type=float, default=CHANGED, help="share of the positions that change in a step")
    changed = parser.parse_args().changed
    out = sys.stdout.buffer
    wire.greet(out, __version__)
    wire.write(out, wire.Hello(strategies.catalogue()))
    run = 0
    coming: Iterator[Frame] = iter(())
    for command in wire.commands(sys.stdin.buffer):
        match command:
            case wire.Open():
                wire.write(out, wire.Ready(model()))
            case wire.Begin(run, settings, choice):
                start = _start_of(choice)
                coming = frames(start, start.steps, settings.settings(), changed)
                tokens, locked = wire.Array.of(start.tokens), wire.Array.of(start.locked)
                wire.write(out, wire.Began(run, tokens, locked, start.steps, start.seed))
            case wire.Credit(steps):
                for _ in range(steps):
                    frame = next(coming, None)
                    wire.write(out, wire.Finished(run) if frame is None else wire.Stepped.of(run, frame))
            case wire.Quit():
                return
            case _:
                pass


def _start_of(choice: RunChoice) -> RunStart:
    return start_of(choice.length, choice.steps or choice.length, choice.seed, choice.batch)


if __name__ == "__main__":
    main()
