"""Edits of the canvas by hand between two steps: how an `Edit` changes a state, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.records import Change, Edit
from engine.sampling.state import SamplerState
from engine.text import infill


@dataclass(frozen=True)
class EditContext:
    """What an edit depends on besides the state."""

    mask_id: int
    vocab_size: int
    first: int = 0
    """positions before it belong to blocks that are finished"""
    blocks: int = 1
    causal: bool = False
    """whether the model predicts from the left alone, so that there must not be more to fill than was planned"""
    prompts: tuple[tuple[int, ...], ...] = ()
    """the prompt that each row has, masks included"""


def edited(state: SamplerState, edit: Edit, canvas: EditContext) -> tuple[SamplerState, Tensor]:
    """Return the state after an edit, and the codes of `Change`, uint8 [B, L].

    Raises ValueError for an edit that cannot be done, with what can.
    """
    batch, length = state.tokens.shape
    if edit.sample is not None and not 0 <= edit.sample < batch:
        raise ValueError(f"there is no sample {edit.sample}: samples are 0 to {batch - 1}")
    if not 0 <= edit.position < length:
        raise ValueError(f"there is no position {edit.position}: positions are 0 to {length - 1}")
    if not 0 < edit.held <= 1:
        raise ValueError(f"a token's probability must lie above 0 and up to 1, not at {edit.held}")
    if edit.kind not in EDITS:
        raise ValueError(f"unknown edit {edit.kind!r}: choose one of {', '.join(EDITS)}")
    rows = list(range(batch)) if edit.sample is None else [edit.sample]
    new = replace(state, tokens=state.tokens.clone(), held=state.held.clone(), locked=state.locked.clone())
    change = _unchanged_codes(new, canvas)
    changed = EDITS[edit.kind](new, edit, canvas, rows)
    if canvas.causal and int((new.tokens == canvas.mask_id).sum()) > int((state.tokens == canvas.mask_id).sum()):
        raise ValueError("the model predicts from the left alone: put or lock tokens, but mask none again")
    after = _unchanged_codes(new, canvas)
    change = torch.where(changed >= 0, changed.to(torch.uint8), after)
    return new, change


def _unchanged_codes(state: SamplerState, canvas: EditContext) -> Tensor:
    """Return the codes of a canvas that does not change."""
    masked = state.tokens == canvas.mask_id
    codes = torch.where(masked, int(Change.MASKED), int(Change.HELD)).to(torch.uint8)
    return codes.masked_fill(state.locked, int(Change.LOCKED))


def _nothing(state: SamplerState) -> Tensor:
    """Return codes of no change, int64 [B, L], all -1, for an edit to write to."""
    return torch.full_like(state.tokens, -1)


def _token(tokens: tuple[int, ...], canvas: EditContext) -> Tensor:
    bad = [token for token in tokens if not 0 <= token < canvas.vocab_size or token == canvas.mask_id]
    if bad:
        raise ValueError(f"token {bad[0]} is the mask or outside the vocabulary of {canvas.vocab_size}")
    return torch.tensor(tokens, dtype=torch.long)


def _unlocked(state: SamplerState, rows: list[int], position: int) -> None:
    if bool(state.locked[rows, position].any()):
        raise ValueError(f"position {position} is locked: unlock it first")


def _mask(state: SamplerState, edit: Edit, canvas: EditContext, rows: list[int]) -> Tensor:
    at = edit.position
    _unlocked(state, rows, at)
    if at < canvas.first:
        raise ValueError(f"position {at} lies in a block that is finished, so nothing would fill it: go back to it")
    rows = [row for row in rows if int(state.tokens[row, at]) != canvas.mask_id]
    if not rows:
        raise ValueError(f"position {at} is masked already")
    changed = _nothing(state)
    state.tokens[rows, at], state.held[rows, at], changed[rows, at] = canvas.mask_id, torch.nan, int(Change.REMASKED)
    return changed


def _force(state: SamplerState, edit: Edit, canvas: EditContext, rows: list[int]) -> Tensor:
    at = edit.position
    _unlocked(state, rows, at)
    if len(edit.tokens) != 1:
        raise ValueError(f"one token is put at a position, not {len(edit.tokens)}")
    changed = _nothing(state)
    state.tokens[rows, at] = int(_token(edit.tokens, canvas)[0])
    state.held[rows, at], changed[rows, at] = edit.held, int(Change.REVEALED)
    return changed


def _lock(state: SamplerState, edit: Edit, canvas: EditContext, rows: list[int]) -> Tensor:
    at = edit.position
    if bool((state.tokens[rows, at] == canvas.mask_id).any()):
        raise ValueError(f"position {at} is masked: put a token there before it is locked")
    if bool(state.locked[rows, at].all()):
        raise ValueError(f"position {at} is locked already")
    state.locked[rows, at] = True
    return _nothing(state)


def _unlock(state: SamplerState, edit: Edit, canvas: EditContext, rows: list[int]) -> Tensor:
    at = edit.position
    if not bool(state.locked[rows, at].any()):
        raise ValueError(f"position {at} is not locked")
    state.locked[rows, at] = False
    return _nothing(state)


def _prompt(state: SamplerState, edit: Edit, canvas: EditContext, rows: list[int]) -> Tensor:
    """Begin the canvas with other tokens, locked, and masks; mask the rest of a longer earlier prompt.

    Returns where the canvas changed.
    """
    size, length = len(edit.tokens), state.tokens.shape[1]
    if size > length:
        raise ValueError(f"the prompt has {size} tokens and the canvas {length}")
    stays = infill.fixed(edit.tokens, canvas.mask_id)
    _token(tuple(token for token, kept in zip(edit.tokens, stays, strict=True) if kept), canvas)
    if canvas.causal:
        infill.check_left_to_right("the model", stays)
    tokens = torch.tensor(edit.tokens, dtype=torch.long, device=state.tokens.device)
    position = torch.arange(length, device=state.tokens.device)
    changed = _nothing(state)
    for row in rows:
        was = canvas.prompts[row] if canvas.prompts else ()
        if canvas.blocks > 1:
            _same_shape(stays, infill.fixed(was, canvas.mask_id))
        # a lock next to the prompt counts as part of it
        old = (position < len(was)) | (state.locked[row].long().cumprod(0) > 0)
        left = old & state.locked[row] & (position >= size)
        holes = (position < size) & torch.nn.functional.pad(tokens == canvas.mask_id, (0, length - size))
        again = left | (holes & (state.tokens[row] != canvas.mask_id))
        if bool((again & (position < canvas.first)).any()):
            at = int(again.nonzero()[0, 0])
            raise ValueError(f"position {at} lies in a block that is finished, so nothing would fill it: go back to it")
        state.tokens[row, :size], state.held[row, :size], state.locked[row, :size] = tokens, 1.0, True
        open_ = left | holes
        state.tokens[row, open_], state.held[row, open_], state.locked[row, open_] = canvas.mask_id, torch.nan, False
        changed[row, again] = int(Change.REMASKED)
    return changed


def _same_shape(stays: list[bool], was: list[bool]) -> None:
    """Raise ValueError for a prompt that would move the blocks."""
    if stays != was:
        masks = f", {was.count(False)} of them masks" if not all(was) else ""
        other = "with other masks" if len(stays) == len(was) else f"of {len(stays)}"
        raise ValueError(f"in blocks the prompt keeps its {len(was)} tokens{masks}: start a new run for one {other}")


EDITS: dict[str, Callable[[SamplerState, Edit, EditContext, list[int]], Tensor]] = {
    "mask": _mask, "force": _force, "lock": _lock, "unlock": _unlock, "prompt": _prompt,
}  # fmt: skip
"""By the kinds of `Edit`: functions that change the state in place and return the codes."""
