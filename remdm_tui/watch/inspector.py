"""The token inspector: the history of one position, and the model's prediction for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import isnan
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.debug import patterns
from engine.debug.findings import Story, TokenPrediction
from engine.debug.inspect import story
from engine.records import Change, Frame, ModelInfo
from engine.sampling.trace import Record
from engine.text.characters import Characters

QUICK = 0.02
"""If reading a history takes fewer seconds, it is read again while the run plays."""
SETTLED = 0.25
"""Seconds for which a revealed token is on screen before the model is asked for its rank."""
RankKey = tuple[int, int, int, int]
"""Branch, sample, position and the step that revealed a token there."""
HIDDEN = (int(Change.MASKED), int(Change.REMASKED))


@dataclass(frozen=True)
class StoryRequest:
    """One position of a sample, in a record of `steps` steps."""

    record: Record
    sample: int
    position: int
    steps: int


@dataclass(frozen=True)
class Inspection:
    """The selected position, what is shown of it, and the text that is searched for."""

    at: int | None = None
    """the inspected position; None: none"""
    shows_prediction: bool = False
    """whether the prediction is shown in place of the history"""
    prediction: TokenPrediction | None = None
    """the last one"""
    pending: bool = False
    """whether a prediction is on its way"""
    searching: str = ""
    """the text that is searched for, whose occurrences are marked; empty: none"""

    def shows(self, sample: int, step: int) -> bool:
        """Return whether the prediction of the selected token of a sample at a step is shown."""
        had = self.prediction
        return (
            self.shows_prediction
            and had is not None
            and (had.sample, had.position, had.step) == (sample, self.at, step)
        )

    def select(self, position: int | None) -> Inspection:
        """Return the inspection of another position: of its history, because a prediction costs a network call."""
        return replace(self, at=position, shows_prediction=self.shows_prediction and self.at == position)


class StoryReader:
    """A thread reads the history of a position, because in a file that is a walk over all frames."""

    def __init__(self) -> None:
        self._story: Story | None = None
        self._request: StoryRequest | None = None
        """the request of the present history, or of the one being read"""
        self._seconds = 0.0
        """how long reading the last history took"""
        self._thread: threading.Thread | None = None

    def clear(self) -> None:
        """Drop the history for another run."""
        self._story = self._request = None

    def story(
        self, record: Record, sample: int, position: int, *, first: int, playing: bool, wait: float | None = 0.0
    ) -> Story | None:
        """Return the history of the position; None while it is being read.

        first: number of the batch's first sample; wait: seconds to wait for the history.
        """
        request, last = StoryRequest(record, sample, position, len(record)), self._request
        other = last is None or last.record is not record or (last.sample, last.position) != (sample, position)
        if other:
            self._story = None
        if other or (last is not None and last.steps != request.steps and (not playing or self._seconds < QUICK)):
            busy = self._thread is not None and self._thread.is_alive()
            if other or not busy:
                self._request = request
                self._thread = threading.Thread(target=self._read, args=(request, first), daemon=True, name="story")
                self._thread.start()
        if wait and self._thread is not None:
            self._thread.join(wait)
        return self._story

    def _read(self, request: StoryRequest, first: int) -> None:
        """Read a history; called by the thread."""
        start, seed = time.perf_counter(), request.record.start.seed
        try:
            read = story(self._frames(request), request.sample, request.position, seed=seed, first=first)
        except (ValueError, OSError):
            # the screen reports a damaged file where it draws it
            return
        if self._request is request:
            self._story, self._seconds = read, time.perf_counter() - start

    def _frames(self, request: StoryRequest) -> Iterator[Frame]:
        """Yield the recorded frames until another request takes over."""
        for step in range(1, request.steps + 1):
            frame = request.record.frame(step)
            if frame is None or self._request is not request:
                return
            yield frame

    def turn(self, step: int, by: int) -> int | None:
        """Return the next (by 1) or previous (by -1) step at which the position changed; None after the last."""
        steps = [moment.step for moment in self._story.moments] if self._story is not None else []
        beyond = [one for one in steps if (one - step) * by > 0]
        return None if not beyond else min(beyond) if by > 0 else max(beyond)

    @property
    def waiting(self) -> bool:
        """Whether a history is being read."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def has_story(self) -> bool:
        """Whether a history has been read."""
        return self._story is not None

    def revealed_by_chance(self, step: int) -> bool:
        """Return whether the history has a draw that revealed the token at a step."""
        moments = () if self._story is None else self._story.moments
        return any(one.step == step and one.change is Change.REVEALED and not isnan(one.drawn) for one in moments)


class RankReader:
    """Where in the model's prediction a token stood that was revealed, in words.

    It costs a network call, so the model is asked once, after the token has been on screen for a moment.
    """

    def __init__(self) -> None:
        self.ranks: dict[RankKey, str] = {}
        self._wanted: RankKey | None = None
        """the reveal on screen whose rank is not known"""
        self._waited = 0.0
        """seconds for which it was on screen"""

    def clear(self) -> None:
        """Drop the ranks for another run."""
        self.ranks.clear()
        self._wanted = None

    def wants(self, key: RankKey | None, seconds: float) -> bool:
        """Return whether to ask the model now for the rank of a reveal that is on screen; None: there is none."""
        if key is None or key in self.ranks:
            self._wanted = None
            return False
        self._wanted, self._waited = key, self._waited + seconds if key == self._wanted else 0.0
        if self._waited < SETTLED:
            return False
        # no second question, whatever the answer
        self.ranks[key] = ""
        return True

    def take(self, branch: int, prediction: TokenPrediction, token: int) -> None:
        """Keep the rank of the token that the step after a prediction revealed there."""
        key = (branch, prediction.sample, prediction.position, prediction.step + 1)
        ranks = [ranked.token for ranked in prediction.top]
        if prediction.masked and token in ranks:
            self.ranks[key] = f"rank {ranks.index(token) + 1} of {prediction.nucleus} in the nucleus"


def neighbour(positions: Sequence[int], at: int | None, by: int) -> int | None:
    """Return the next (by 1) or previous (by -1) of ascending positions, wrapping around; None without positions."""
    if not positions:
        return None
    if by > 0:
        return next((one for one in positions if at is None or one > at), positions[0])
    return next((one for one in reversed(positions) if at is None or one < at), positions[-1])


def named_parts(
    model: ModelInfo, tokens: NDArray[np.integer], position: int, candidates: Iterable[int]
) -> dict[int, str]:
    """Return names for those candidates that hold a part of a character, at one position of a canvas, [L].

    A name has the whole character, if the neighbours complete one, and the part's bytes.
    """
    characters = Characters.of(model.fragments, len(model.pieces))
    if characters is None:
        return {}
    names = {token: characters.name(token) for token in candidates}
    whole = {token: characters.character(token, position, tokens) for token, name in names.items() if name}
    return {token: f'"{text}" {names[token]}' if text else names[token] for token, text in whole.items()}


@dataclass(frozen=True, eq=False)
class Matches:
    """Where a text or a /pattern/ occurs in a canvas."""

    starts: tuple[int, ...]
    """the positions in which occurrences begin, ascending"""
    covered: NDArray[np.bool_]
    """[L], true at every position that is part of one"""


def matches(
    text: str,
    tokens: NDArray[np.int32],
    change: NDArray[np.uint8],
    pieces: Sequence[str],
    fragments: Mapping[int, bytes] = MappingProxyType({}),
) -> Matches:
    """Return where a text occurs or a /pattern/ matches; masks match nothing.

    Texts ignore case and may span several tokens.  Raises ValueError for a bad pattern.
    """
    texts = Characters(fragments, len(pieces)).texts(tokens, pieces)
    shown = ["\0" if hidden else text for text, hidden in zip(texts, np.isin(change, HIDDEN), strict=True)]
    covered = np.zeros(len(shown), bool)
    if len(text) > 2 and text[0] == text[-1] == "/":
        pattern = patterns.safe_pattern(text[1:-1])
        spans = [(i, i) for i, piece in enumerate(shown) if piece != "\0" and patterns.found(pattern, piece)]
    else:
        spans = _spans(text.casefold(), [piece.casefold() for piece in shown])
    for first, last in spans:
        covered[first : last + 1] = True
    return Matches(tuple(dict.fromkeys(first for first, _ in spans)), covered)


def find(
    text: str,
    tokens: NDArray[np.int32],
    change: NDArray[np.uint8],
    pieces: Sequence[str],
    after: int,
    fragments: Mapping[int, bytes] = MappingProxyType({}),
) -> int | None:
    """Return the next position after `after` (wrapping around) in which a match begins; None without matches."""
    return neighbour(matches(text, tokens, change, pieces, fragments).starts, after, 1)


def _spans(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and the last piece of each occurrence of a text."""
    whole, edges = "".join(pieces), [0, *accumulate(map(len, pieces))]
    found, at = [], whole.find(text) if text else -1
    while at >= 0:
        first, last = np.searchsorted(edges, (at, at + len(text) - 1), "right") - 1
        found.append((int(first), int(last)))
        at = whole.find(text, at + 1)
    return found
