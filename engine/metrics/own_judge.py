"""Judges and featurizers around our own left-to-right models, such as the package's demo judge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.data.special_tokens import END_OF_TEXT, PLAIN
from engine.files.regular import regular_file
from engine.metrics.judge import BATCH_TOKENS, LOGITS, OnBatch, by_length
from engine.models import TextModel, load_model
from engine.models.catalogue import BUILT_IN
from engine.models.causal_dit import CachedCausal
from engine.system.callbacks import ignore

JUDGES = {"demo-judge": "demo-ar"}
"""The models of judges that have a name of their own."""

Scored = TypeVar("Scored")


class DirectoryJudge:
    """A judge and featurizer around one of our left-to-right models.

    Texts are read as its training texts were: typography unified (`engine.data.special_tokens.PLAIN`), a paragraph at a
    time, the end of a text where it is spelt out.  Rows are batched by length; when the device runs out of memory,
    `batch_tokens` is halved and scoring continues.  Raises ValueError for a model of another kind.
    """

    def __init__(self, model: TextModel, *, batch_tokens: int = BATCH_TOKENS, done: OnBatch = ignore) -> None:
        if not isinstance(model.network, CachedCausal) or model.max_length is None:
            raise ValueError(f"{model.name} does not predict from left to right: a judge is a causal model")
        self.name, self.model, self.network = model.name, model, model.network
        self.batch_tokens, self.done = batch_tokens, done
        self.vocab_size = model.vocab_size
        self.start: int | None = model.network.bos
        self.end: int | None = model.network.bos
        self.positions = model.max_length
        self.context = self.positions + 1
        """a row's last token is predicted and not read"""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._tokenise(number, text) for number, text in enumerate(texts)]

    def _tokenise(self, number: int, text: str) -> list[int]:
        row: list[int] = []
        for part in text.translate(PLAIN).split(END_OF_TEXT):
            first, *others = part.split("\n\n")
            pieces = [first] if not others else [f"{piece}\n\n" for piece in (first, *others[:-1])] + others[-1:]
            try:
                row += [token for piece in pieces for token in self.model.codec.encode(piece)]
            except (TypeError, ValueError, UnicodeError) as error:
                raise ValueError(f"the tokenizer of {self.name} rejects text {number}: {error}") from error
            row.append(self.network.bos)
        return row[:-1]

    @torch.inference_mode()
    def nll(self, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        """Return -log p of each row's tokens, see `Judge`; the mask has probability 0."""
        self._check(rows)
        return by_length(self, rows, self._nll, np.zeros(0))

    @torch.inference_mode()
    def features(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the last hidden state at each row's last token, float32 [N, D], without its norm's weights.

        The first token of a row of `context` tokens is not read.  Raises ValueError for an empty row.
        """
        self._check(rows)
        if any(len(row) == 0 for row in rows):
            raise ValueError("an empty text has no last token to take features from")
        found = by_length(self, [row[-self.positions :] for row in rows], self._features, np.zeros(0, np.float32))
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def _check(self, rows: Sequence[Sequence[int]]) -> None:
        longest = max(map(len, rows), default=0)
        if longest > self.context:
            raise ValueError(f"{self.name} reads {self.context} tokens, a text has {longest}: cut it first")
        for number, row in enumerate(rows):
            if any(not 0 <= token < self.vocab_size or token == self.model.mask_id for token in row):
                raise ValueError(f"row {number} holds a token that is not text of {self.name}")

    def _nll(self, rows: list[Tensor]) -> Iterator[NDArray[np.float64]]:
        lengths = [len(row) - 1 for row in rows]
        if lengths[0] == 0:
            yield from (np.zeros(0) for _ in rows)
            return
        # tokens to the right do not count, so padding needs no mask
        inputs = pad_sequence([row[:-1] for row in rows], batch_first=True).to(self.network.device)
        real = torch.arange(lengths[0])[None, :] < torch.tensor(lengths)[:, None]
        states = self.network.follow(inputs)[real.to(inputs.device)]
        targets = torch.cat([row[1:] for row in rows])
        count = max(1, LOGITS // self.vocab_size)
        parts = [
            self._losses(s, y) for s, y in zip(torch.split(states, count), torch.split(targets, count), strict=True)
        ]
        yield from np.split(torch.cat(parts).numpy(), np.cumsum(lengths)[:-1])

    def _losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Return -log p, float64 [N] on the CPU, of the next tokens [N] given hidden states [N, D]."""
        logits = self.model.project(states).double()  # on a device that has float64
        logits[:, self.model.mask_id] = -torch.inf
        return -logits.log_softmax(-1).gather(1, targets.to(logits.device)[:, None])[:, 0].cpu()

    def _features(self, rows: list[Tensor]) -> Iterator[NDArray[np.float32]]:
        hidden = self.network.follow(pad_sequence(rows, batch_first=True).to(self.network.device))
        last = torch.tensor([len(row) - 1 for row in rows], device=hidden.device)
        yield from hidden[torch.arange(len(rows), device=hidden.device), last].float().cpu().numpy()


def own_model(name: str) -> str | None:
    """Return the name or directory of our model that a judge's name means; None if it is not one of ours."""
    if name in JUDGES:
        return JUDGES[name]
    if name in BUILT_IN:
        return name
    try:
        config = json.loads(regular_file(Path(name).expanduser() / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return name if isinstance(config, dict) and "format" in config and "kind" in config else None


def load_own(
    name: str, device: str = "auto", dtype: str = "float32", *, batch_tokens: int = BATCH_TOKENS, done: OnBatch = ignore
) -> DirectoryJudge:
    """Load the judge of a name for which `own_model` finds a model; the judge keeps that name."""
    model = load_model(own_model(name) or name, device, dtype)
    model.name = name
    return DirectoryJudge(model, batch_tokens=batch_tokens, done=done)
