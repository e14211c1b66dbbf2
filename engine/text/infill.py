"""Masks in a prompt: how they are written in its text, and what stands fixed around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

NAMED = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
"""A token that is a name for something rather than text: <pad>, [CLS]."""
MASKS = ("[MASK]", "<mask>", "<|mask|>", "<|mdm_mask|>", "<|MASK|>", "|<MASK>|")
"""What masks are called."""
BRACED = r"\{\s*mask\b([^{}]*)\}"
COUNT = re.compile(r"\s*(?:\*\s*(\d{1,9})\s*)?")
"""What may follow the word in braces."""
MOST = 1 << 20
"""Masks that one pair of braces stands for at most."""

PRIVATE = range(0xE000, 0xF900)
"""Characters without a meaning of their own, one of which marks a mask inside a chat template."""

Part = str | int
"""A piece of text, or so many masks."""


def parts(text: str, own: str = "", drops_space: bool = False) -> list[Part]:
    """Cut a prompt at its masks: {mask}, {mask*8}, a name of MASKS in any case, or the model's own.

    own: what the model calls its mask; only a name in brackets counts.  drops_space: leave out one space before a
    mask, which the token that is put there brings itself.  Raises ValueError for braces that are miswritten.
    """
    names = {*MASKS, *([own] if NAMED.fullmatch(own) else [])}
    pattern = "|".join((BRACED, *map(re.escape, sorted(names, key=len, reverse=True))))
    found: list[Part] = []
    at = 0
    for mask in re.finditer(pattern, text, re.IGNORECASE):
        before = text[at : mask.start()]
        found += [before.removesuffix(" ") if drops_space else before, _count(mask)]
        at = mask.end()
    return [part for part in (*found, text[at:]) if part != ""]


def has_masks(text: str, own: str = "") -> bool:
    """Whether a text has masks, or braces that are to be one."""
    try:
        return any(isinstance(part, int) for part in parts(text, own))
    except ValueError:
        return True


def apply_template(wrap: Callable[[str], str], parts: Sequence[Part]) -> list[Part]:
    """What a chat template makes of a prompt, cut at the prompt's masks.  Raises ValueError where they are lost."""
    text = "".join(part for part in parts if isinstance(part, str))
    hole = next(c for c in map(chr, PRIVATE) if c not in text)
    counts = [part for part in parts if isinstance(part, int)]
    around = wrap("".join(part if isinstance(part, str) else hole for part in parts)).split(hole)
    if len(around) != len(counts) + 1:
        raise ValueError("the chat template changes the prompt, so that its masks are lost: leave out --chat")
    found = [part for pair in zip(around, counts) for part in pair]
    return [part for part in (*found, around[-1]) if part != ""]


def split_template(wrap: Callable[[str], str], parts: Sequence[Part]) -> tuple[str, list[Part], str]:
    """Return what a chat template puts before a prompt, the prompt cut at its masks, and what it puts behind it.

    White space at either end of the prompt is the template's to keep or drop.  Raises ValueError where the template
    changes the prompt.
    """
    text = "".join(part for part in parts if isinstance(part, str))
    edge, hole = [c for c in map(chr, PRIVATE) if c not in text][:2]
    whole = "".join(part if isinstance(part, str) else hole for part in parts)
    core = whole.strip()
    start = whole.index(core)
    pieces = wrap(f"{whole[:start]}{edge}{core}{edge}{whole[start + len(core) :]}").split(edge)
    if len(pieces) != 3 or pieces[1] != core:
        raise ValueError("the chat template changes the prompt, so that its text cannot be told: leave out --chat")
    counts = [part for part in parts if isinstance(part, int)]
    first, *others = core.split(hole)
    inside = [first, *(part for pair in zip(counts, others) for part in pair)]
    return pieces[0], [part for part in inside if part != ""], pieces[2]


def _count(mask: re.Match[str]) -> int:
    if mask[1] is None:
        return 1
    read = COUNT.fullmatch(mask[1])
    count = int(read[1] or 1) if read is not None else 0
    if not 1 <= count <= MOST:
        raise ValueError(
            f"{mask[0][:40]!r} in the prompt is no mask: write {{mask}}, {{mask*8}} with 1 to {MOST}, "
            "or give the text by --prompt-literal"
        )
    return count


def tokens_carry_space(pieces: Iterable[str]) -> bool:
    """Whether the space before a word is part of its token, by the texts of a vocabulary."""
    return any(len(piece) > 1 and piece[0] == " " != piece[1] for piece in pieces)


def fixed(prompt: Sequence[int], mask_id: int) -> list[bool]:
    """Whether each token of a prompt stays; a mask is to be filled."""
    return [token != mask_id for token in prompt]


def leading_fixed(fixed: Sequence[bool]) -> int:
    """How many tokens stand fixed before the first that is to be filled."""
    return next((i for i, stays in enumerate(fixed) if not stays), len(fixed))


def check_left_to_right(name: str, fixed: Sequence[bool]) -> None:
    """Raise ValueError for text behind a mask, which a model that predicts from the left alone cannot heed."""
    if not all(fixed[: sum(fixed)]):
        raise ValueError(
            f"{name} predicts from the left alone, so it cannot fill a mask to fit the text behind it: "
            "end the prompt before its first mask, or choose a masked model"
        )
