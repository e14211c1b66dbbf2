"""Language models that score other models' texts: the judge's protocol, and a judge of the transformers library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.system.callbacks import ignore
from engine.system.foreign import library_errors

BATCH_TOKENS = 1 << 13
"""Tokens put through a judge at a time, padding included; a text that is longer goes alone."""
LOGITS = 1 << 25
"""Logits held at a time, whatever the batch."""
Scored = TypeVar("Scored")
OnBatch = Callable[[int, int], None]
"""A callback with (texts or sequences done, number in total)."""


class Judge(Protocol):
    """Any causal language model with its tokenizer."""

    name: str
    context: int
    """tokens that it reads at most"""
    start: int | None
    """the token that it expects before a text"""
    end: int | None
    """the token that ends a text"""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenise whole texts.  Raises ValueError for a text that the tokenizer rejects."""
        ...

    def nll(self, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        """Return for each row of n tokens -log p of all but the first given those before, nats: [n - 1], or empty."""
        ...


class Featurizer(Protocol):
    """A model that maps a text to a point."""

    name: str
    context: int
    """tokens that it reads at most"""

    def tokens(self, texts: Sequence[str]) -> list[list[int]]: ...

    def features(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the last hidden state at each row's last token, float32 [N, D]; no row may be empty."""
        ...


class JudgeOutput(Protocol):
    """A batched scorer with a progress callback."""

    batch_tokens: int
    done: OnBatch


def by_length(
    reader: JudgeOutput,
    rows: Sequence[Sequence[int]],
    compute: Callable[[list[Tensor]], Iterator[Scored]],
    empty: Scored,
) -> list[Scored]:
    """Apply `compute` to batches of rows of similar length, longest first; return its values in the rows' order.

    The value of an empty row is `empty`.  When the device runs out of memory, the reader's batches are halved.
    """
    values = [empty] * len(rows)
    order = sorted((i for i in range(len(rows)) if len(rows[i])), key=lambda i: -len(rows[i]))
    first = 0
    while first < len(order):
        longest = len(rows[order[first]])
        chosen = order[first : first + max(1, reader.batch_tokens // longest)]
        try:
            found = list(compute([torch.tensor(rows[i]) for i in chosen]))
        except torch.OutOfMemoryError:
            if len(chosen) == 1:
                raise
            reader.batch_tokens = len(chosen) * longest // 2
            continue
        for i, value in zip(chosen, found, strict=True):
            values[i] = value
        first += len(chosen)
        reader.done(first, len(order))
    return values


class LanguageModel:
    """A judge and featurizer around a causal model of transformers, its head applied to real tokens only.

    Rows are batched by length, so that little is padding.  When the device runs out of memory, `batch_tokens` is
    halved and scoring continues; callers compare it before and after.
    """

    def __init__(
        self, name: str, model: Any, tokenizer: Any, *, batch_tokens: int = BATCH_TOKENS, done: OnBatch = ignore
    ) -> None:
        from engine.models.heads import head_of

        self.name, self.model, self.tokenizer = name, model.eval(), tokenizer
        self.batch_tokens, self.done = batch_tokens, done
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.vocab_size = int(model.get_input_embeddings().num_embeddings)
        longest = getattr(model.config, "max_position_embeddings", None)
        self.context = longest if isinstance(longest, int) and longest > 0 else 1 << 20
        with torch.inference_mode():
            self._head = head_of(model, torch.tensor([[1, 2, 3, 2, 4, 1]], device=model.device) % self.vocab_size)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        try:
            return self._tokenise(list(texts))
        except (TypeError, ValueError, OverflowError):
            for number, text in enumerate(texts):
                self._tokenise_one(number, text)
            raise

    def _tokenise_one(self, number: int, text: str) -> None:
        try:
            self._tokenise([text])
        except (TypeError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"the tokenizer of {self.name} rejects text {number}: {reason or 'no reason given'}"
            ) from error

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        with library_errors("it fails"):
            rows: list[list[int]] = self.tokenizer(texts, verbose=False)["input_ids"]
        largest = max((max(row, default=0) for row in rows), default=0)
        if largest >= self.vocab_size:
            raise ValueError(f"it gives token {largest}, and the model knows {self.vocab_size}")
        return rows

    @torch.inference_mode()
    def nll(self, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        self._check(rows)
        return by_length(self, rows, self._nll, np.zeros(0))

    @torch.inference_mode()
    def features(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        self._check(rows)
        if any(len(row) == 0 for row in rows):
            raise ValueError("an empty text has no last token to take features from")
        found = by_length(self, rows, self._features, np.zeros(0, np.float32))
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def _check(self, rows: Sequence[Sequence[int]]) -> None:
        longest = max(map(len, rows), default=0)
        if longest > self.context:
            raise ValueError(f"{self.name} reads {self.context} tokens, a text has {longest}: cut it first")

    def _nll(self, rows: list[Tensor]) -> Iterator[NDArray[np.float64]]:
        lengths = [len(row) for row in rows]
        real = torch.arange(lengths[0] - 1)[None, :] < torch.tensor(lengths)[:, None] - 1
        real = real.to(self.model.device)
        targets = torch.cat([row[1:] for row in rows]).to(self.model.device)
        if self._head is None:
            states = self.model(**self._inputs(rows)).logits[:, :-1][real]
        else:
            states = self.model.base_model(**self._inputs(rows))[0][:, :-1][real]
        count = max(1, LOGITS // self.vocab_size)
        parts = [
            self._losses(s, y) for s, y in zip(torch.split(states, count), torch.split(targets, count), strict=True)
        ]
        losses = torch.cat(parts).double().cpu().numpy()
        yield from np.split(losses, np.cumsum([n - 1 for n in lengths])[:-1])

    def _losses(self, states: Tensor, targets: Tensor) -> Tensor:
        logits = states if self._head is None else self._head(states)
        return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")

    def _features(self, rows: list[Tensor]) -> Iterator[NDArray[np.float32]]:
        last = torch.tensor([len(row) - 1 for row in rows], device=self.model.device)
        if self.model.base_model is self.model:
            hidden = self.model(**self._inputs(rows), output_hidden_states=True).hidden_states[-1]
        else:
            hidden = self.model.base_model(**self._inputs(rows))[0]
        yield from hidden[torch.arange(len(rows), device=last.device), last].float().cpu().numpy()

    def _inputs(self, rows: list[Tensor]) -> dict[str, Any]:
        """Return right-padded inputs, with an attention mask only where there is padding, as it costs time."""
        given: dict[str, Any] = {"input_ids": pad_sequence(rows, batch_first=True).to(self.model.device)}
        if len(rows[-1]) < len(rows[0]):
            ones = [torch.ones(len(row), dtype=torch.long) for row in rows]
            given["attention_mask"] = pad_sequence(ones, batch_first=True).to(self.model.device)
        return given | {"use_cache": False}
