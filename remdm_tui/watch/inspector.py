"""One position under the magnifier: its story so far, and the network's opinion of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.debug import patterns
from engine.debug.findings import Prediction, Story
from engine.debug.inspect import story
from engine.records import Change, Frame, ModelInfo
from engine.sampling.trace import Record
from engine.text.characters import Characters

QUICK = 0.02
"""Seconds that reading a story may take for it to be read again while the run plays."""
HIDDEN = (int(Change.MASKED), int(Change.REMASKED))


@dataclass(frozen=True)
class StoryRequest:
    """Whose story: a position of a sample of a record that was so long."""

    record: Record
    sample: int
    position: int
    steps: int


class Inspector:
    """Stories are read by a thread of their own: in a file, each is a walk over all frames."""

    def __init__(self) -> None:
        self.at: int | None = None
        """the position; None: nothing is looked at"""
        self.asking = False
        """whether the network's opinion is shown in place of the story"""
        self.opinion: Prediction | None = None
        self.pending = False
        """whether an opinion is on its way"""
        self.searched = ""
        self._story: Story | None = None
        self._asked: StoryRequest | None = None
        """whose story there is or is being read"""
        self._took = 0.0
        self._thread: threading.Thread | None = None

    def forget(self) -> None:
        """Another run."""
        self.opinion = self._story = self._asked = None

    def story(
        self, record: Record, sample: int, *, first: int, playing: bool, wait: float | None = 0.0
    ) -> Story | None:
        """All that happened to the position, in a while; None until then.

        first: number of the batch's first sample; wait: seconds to wait for it.
        """
        assert self.at is not None
        asked, had = StoryRequest(record, sample, self.at, len(record)), self._asked
        other = had is None or had.record is not record or (had.sample, had.position) != (sample, self.at)
        if other:
            self._story = None
        if other or (had is not None and had.steps != asked.steps and (not playing or self._took < QUICK)):
            busy = self._thread is not None and self._thread.is_alive()
            if other or not busy:
                self._asked = asked
                self._thread = threading.Thread(target=self._read, args=(asked, first), daemon=True, name="story")
                self._thread.start()
        if wait and self._thread is not None:
            self._thread.join(wait)
        return self._story

    def _read(self, asked: StoryRequest, first: int) -> None:
        begun = time.perf_counter()
        try:
            told = story(self._frames(asked), asked.sample, asked.position, seed=asked.record.start.seed, first=first)
        except (ValueError, OSError):
            # a file that is damaged there is told where it is drawn
            return
        if self._asked is asked:
            self._story, self._took = told, time.perf_counter() - begun

    def _frames(self, asked: StoryRequest) -> Iterator[Frame]:
        """Until something else is asked for."""
        for step in range(1, asked.steps + 1):
            frame = asked.record.frame(step)
            if frame is None or self._asked is not asked:
                return
            yield frame

    def turn(self, position: int, by: int) -> int | None:
        """The next (by 1) or previous (-1) step at which the position changed; None where there is none."""
        steps = [moment.step for moment in self._story.moments] if self._story is not None else []
        beyond = [step for step in steps if (step - position) * by > 0]
        return None if not beyond else min(beyond) if by > 0 else max(beyond)

    @property
    def waiting(self) -> bool:
        """Whether something will come by itself."""
        return self.pending or (self._thread is not None and self._thread.is_alive())

    @property
    def told(self) -> bool:
        """Whether there is a story."""
        return self._story is not None


def named_parts(model: ModelInfo, tokens: NDArray[np.integer], place: int, candidates: Iterable[int]) -> dict[int, str]:
    """Return what to call those of some tokens that hold a part of a character, at one position of a canvas, [L].

    A name has the whole character, if there is one beside these neighbours, and the part's bytes.
    """
    characters = Characters.of(model.fragments, len(model.pieces))
    if characters is None:
        return {}
    named = {token: characters.name(token) for token in candidates}
    whole = {token: characters.character(token, place, tokens) for token, name in named.items() if name}
    return {token: f'"{text}" {named[token]}' if text else named[token] for token, text in whole.items()}


def find(
    text: str,
    tokens: NDArray[np.int32],
    change: NDArray[np.uint8],
    pieces: Sequence[str],
    after: int,
    fragments: Mapping[int, bytes] = MappingProxyType({}),
) -> int | None:
    """The next position behind `after`, round the end, at which a text begins or that a /pattern/ matches.

    Capitals do not matter in a text, and it may go on over several tokens.  Raises ValueError for a bad pattern.
    """
    texts = Characters(fragments, len(pieces)).texts(tokens, pieces)
    shown = ["\0" if hidden else text for text, hidden in zip(texts, np.isin(change, HIDDEN), strict=True)]
    if len(text) > 2 and text[0] == text[-1] == "/":
        pattern = patterns.compiled(text[1:-1])
        found = [i for i, piece in enumerate(shown) if piece != "\0" and patterns.found(pattern, piece)]
    else:
        found = _starts(text.casefold(), [piece.casefold() for piece in shown])
    return next((i for i in found if i > after), found[0] if found else None)


def _starts(text: str, pieces: Sequence[str]) -> list[int]:
    """The pieces in which occurrences of a text begin."""
    whole, edges = "".join(pieces), [0, *accumulate(map(len, pieces))]
    found, at = [], whole.find(text) if text else -1
    while at >= 0:
        found.append(int(np.searchsorted(edges, at, "right")) - 1)
        at = whole.find(text, at + 1)
    return list(dict.fromkeys(found))
