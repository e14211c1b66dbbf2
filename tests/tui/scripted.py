"""A link without a process: frames made up by numpy, as many as are requested and no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine import strategies, wire
from engine.debug.findings import Drafts, Ranked, TokenPrediction, Verdict
from engine.records import (
    Branch,
    Change,
    Edit,
    Frame,
    GridLayout,
    ModelCheck,
    ModelChoice,
    ModelInfo,
    RunChoice,
    Settings,
)
from engine.sampling.trace import Record, RunStart, Trace
from remdm_tui.link.base import LinkEvent

WORDS = [
    " the", " sea", " was", " calm", " and", " a", " ship", " came", ",", ".", " home", " slowly", "\n", " over",
    " it", "ing", "ly", "[MASK]",
]  # fmt: skip
MASK = len(WORDS) - 1


class ScriptedLink:
    """Reveals and remasks at random, by seed; `configured` keeps every setting it was sent."""

    at_once = False

    def __init__(self, hostile: str = "") -> None:
        self.words = [hostile or word for word in WORDS[:1]] + WORDS[1:]
        self.mask = MASK
        self.layout: GridLayout | None = None
        self.trace: Record | None = None
        self.make_record: Callable[[RunStart], Record] = Trace
        self.outstanding = 0
        self.configured: list[Settings] = []
        self.seeds: list[int] = []
        self.opened: list[ModelChoice] = []
        self.closed = False
        self.branch = 0
        self.altered: list[Edit] = []
        self.panes: tuple[int, ...] = ()
        self.drafted: list[tuple[int, int]] = []
        self.recalled: list[tuple[int, int]] = []
        self._records: dict[int, Record | None] = {}
        self._left: dict[int, Settings] = {}
        self._over: set[int] = set()
        self.breakpoints: dict[int | None, str] = {}
        self.file = ""
        self.events: deque[LinkEvent] = deque()

    def start(self) -> None:
        self.closed = False
        self.events.append(wire.Hello(strategies.catalogue()))

    def open(self, choice: ModelChoice) -> None:
        self.opened.append(choice)
        self.events.append(wire.Ready(self.info(choice)))

    def info(self, choice: ModelChoice) -> ModelInfo:
        return ModelInfo(
            choice.name, 1000, "float32", "cpu", len(self.words), self.mask, None, False, tuple(self.words), "sdpa",
            "toy", layout=self.layout,
        )  # fmt: skip

    def begin(self, settings: Settings, choice: RunChoice, record: Record | None = None, branch: int = 0) -> None:
        steps, seed = choice.steps or choice.length, choice.seed
        self._settings, self._steps = settings, steps
        self.seeds.append(seed)
        self.branch, self._records = branch, {branch: record}
        self.panes, self._seed, self._left, self._over = (), seed, {}, set()
        tokens = np.full((choice.batch, choice.length), self.mask, np.int32)
        locked = np.zeros(tokens.shape, bool)
        if choice.prompt:
            self.lock_prompt(choice.prompt, tokens, locked)
        self._locked = locked
        if record is not None:
            self._go_to(branch)
        else:
            self._tokens, self._calls = tokens, 0
            self.trace = self._records[branch] = self.make_record(RunStart(tokens, locked, steps, seed))
        self.events.append(wire.Began(1, wire.Array.of(tokens), wire.Array.of(locked), steps, seed))
        if record is not None and len(record):
            self.events.append(wire.Resumed(1, wire.Array.of(self._tokens)))

    def lock_prompt(self, prompt: str, tokens: NDArray[np.int32], locked: NDArray[np.bool_]) -> None:
        """Put a prompt of three tokens, whatever it says, into [B, L]."""
        tokens[:, :3], locked[:, :3] = 1, True

    def fork(self, branch: Branch, record: Record, settings: Settings | None = None) -> None:
        self._records.setdefault(self.branch, self.trace)
        self._records[branch.id] = record
        self._left[branch.id] = settings or self._settings
        self.switch(branch.id)

    def recall(self, branch: Branch, record: Record, settings: Settings) -> None:
        self._records[branch.id], self._left[branch.id] = record, settings
        self.recalled.append((branch.id, len(record)))
        self.events.append(wire.Switched(1, branch.id, 0))
        if len(record):
            self.events.append(wire.Resumed(1, wire.Array.of(record.start.tokens)))

    def record(self, branch: int) -> Record | None:
        return self._records.get(branch)

    def together(self, branches: Sequence[int]) -> None:
        self.panes = tuple(branches)
        self.events.append(wire.Switched(1, self.branch, 0))

    def switch(self, branch: int) -> None:
        if branch not in self._records:
            raise ValueError(f"branch {branch} has no record")
        self._go_to(branch)
        assert self.trace is not None
        self.events.append(wire.Switched(1, branch, len(self.trace)))

    def _go_to(self, branch: int) -> None:
        self._left[self.branch] = self._settings
        self._settings = self._left.get(branch, self._settings)
        self.trace, self.branch = self._records[branch], branch
        assert self.trace is not None
        frame = self.trace.frame(len(self.trace))
        self._tokens = self.trace.start.tokens if frame is None else frame.tokens
        self._calls = 0 if frame is None else frame.network_calls

    def alter(self, edit: Edit) -> None:
        """Knows two kinds: a token is put, or a position locked."""
        assert self.trace is not None
        self.altered.append(edit)
        frame = self.trace.frame(len(self.trace))
        assert frame is not None
        tokens, change = frame.tokens.copy(), np.where(frame.masked, Change.MASKED, Change.HELD).astype(np.uint8)
        if edit.kind == "force":
            tokens[edit.sample, edit.position] = edit.tokens[0]
            change[edit.sample, edit.position] = Change.REVEALED
        elif edit.kind == "lock":
            change[edit.sample, edit.position] = Change.LOCKED
        else:
            self.events.append(wire.Rejected("that is not for a script", "Alter"))
            return
        self._tokens = tokens
        held = np.where(tokens == self.mask, np.nan, 1).astype(np.float32)
        index = len(self.trace)
        self.trace.append(replace(frame, index=index, t=frame.s, tokens=tokens, change=change, held=held, edit=edit))

    def stop_at(self, number: int, text: str, sample: int | None = None) -> None:
        self.breakpoints[number] = text

    def clear(self, number: int | None = None) -> None:
        self.breakpoints.pop(number, None)

    def look(self, sample: int, position: int, step: int | None = None, top: int = 20) -> None:
        assert self.trace is not None
        token = int(self.trace.tokens(step or 0, sample)[position])
        ranked = tuple(Ranked(i, 0.5 ** (i + 1), i < 3) for i in range(6))
        verdicts = (Verdict("mdlm", 0.25, 0.0), Verdict("left-to-right", 0.0, 0.0, "the position is locked"))
        prediction = TokenPrediction(
            step or 0, sample, position, token, token == self.mask, ranked, 3, 1.25, 0.125, verdicts
        )
        self.events.append(wire.Looked(1, 0, prediction))

    def draft(self, sample: int, step: int) -> None:
        assert self.trace is not None
        self.drafted.append((sample, step))
        masked = np.flatnonzero(np.isin(self.trace.change(step, sample), (Change.MASKED, Change.REMASKED))).tolist()
        count = len(masked)
        found = Drafts(step, sample, tuple(masked), (1,) * count, (0.5,) * count, tuple(0.3 * i for i in range(count)))
        self.events.append(wire.Drafted(1, self.branch, found))

    def use_file(self, path: str) -> None:
        self.file = path

    def check_model(self) -> None:
        self.events.append(wire.Checked(ModelCheck(1.5, 3.0, 20)))

    def configure(self, settings: Settings) -> None:
        self._settings = settings
        self.configured.append(settings)

    def demand(self, steps: int, renew: bool, recorded: int | None = None) -> bool:
        for _ in range(steps):
            self._step_any()
        return steps > 0

    def _step_any(self) -> None:
        """Of those stepped together the one that has come least far."""
        going = [branch for branch in self.panes if branch not in self._over]
        current = self.branch
        if going:
            self._go_to(min(going, key=lambda branch: len(self._records[branch])))  # type: ignore[arg-type]
        self._step()
        if self.branch != current:
            self._go_to(current)

    def take(self) -> list[LinkEvent]:
        taken = list(self.events)
        self.events.clear()
        return taken

    def close(self, patience: float = 0.5) -> None:
        self.closed = True
        self.events.clear()

    def _step(self) -> None:
        assert self.trace is not None
        index = len(self.trace)
        if index >= self._steps:
            self.events.append(wire.Finished(1, self.branch))
            self._over.add(self.branch)
            return
        t, s = 1 - index / self._steps, 1 - (index + 1) / self._steps
        # every branch has the same dice
        rng = np.random.default_rng((self._seed, index))
        masked = (self._tokens == self.mask) & ~self._locked
        u = rng.random(masked.shape)
        reveal = masked & (u < (1.0 if s == 0 else (t - s) / t + 0.02))
        # none without eta, and more with a little more of it
        eta = float(self._settings.knobs.get("eta", 0.0))
        sigma = eta and 0.02 + 10 * (eta - 0.02)
        forget = ~masked & ~self._locked & (u < sigma) & (s > 0)
        drawn = rng.integers(0, self.mask, masked.shape)
        self._tokens = np.where(reveal, drawn, np.where(forget, self.mask, self._tokens)).astype(np.int32)
        change = np.where(masked, Change.MASKED, Change.HELD).astype(np.uint8)
        change[reveal], change[forget], change[self._locked] = Change.REVEALED, Change.REMASKED, Change.LOCKED
        held = np.where(self._tokens == self.mask, np.nan, 0.1 + 0.9 * u).astype(np.float32)
        self._calls += 1
        p = np.broadcast_to(np.float32(0.02), masked.shape)
        self.trace.append(
            Frame(index, t, s, 1 - t, 1 - s, self._tokens, change, held, p, p, self._calls, self._settings)
        )
