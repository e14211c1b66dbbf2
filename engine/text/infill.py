"""Masks in a prompt: parse them, apply chat templates around them, and find the fixed tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

NAMED = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
"""The form of a special token: <pad>, [CLS]."""
MASKS = ("[MASK]", "<mask>", "<|mask|>", "<|mdm_mask|>", "<|MASK|>", "|<MASK>|")
"""Names of masks."""
BRACED = r"\{\s*mask\b([^{}]*)\}"
COUNT = re.compile(r"\s*(?:\*\s*(\d{1,9})\s*)?")
"""An optional count after the word in braces."""
MOST = 1 << 20
"""The largest count in one pair of braces."""

PRIVATE = range(0xE000, 0xF900)
"""Private-use characters, one of which marks a mask inside a chat template."""

Part = str | int
"""A piece of text, or a number of masks."""


def parts(text: str, own: str = "", drops_space: bool = False) -> list[Part]:
    """Split a prompt at its masks: {mask}, {mask*8}, a name in MASKS in any case, or the model's own.

    own: the model's name for its mask; ignored unless in brackets.  drops_space: leave out one space before a mask,
    because the token there includes it.  Raises ValueError for malformed braces.
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
    """Return whether a text has masks, or malformed ones."""
    try:
        return any(isinstance(part, int) for part in parts(text, own))
    except ValueError:
        return True


def apply_template(wrap: Callable[[str], str], parts: Sequence[Part]) -> list[Part]:
    """Return a prompt in its chat template, split at its masks.  Raises ValueError if the template loses any."""
    text = "".join(part for part in parts if isinstance(part, str))
    mark = next(c for c in map(chr, PRIVATE) if c not in text)
    counts = [part for part in parts if isinstance(part, int)]
    around = wrap("".join(part if isinstance(part, str) else mark for part in parts)).split(mark)
    if len(around) != len(counts) + 1:
        raise ValueError("The chat template changes the prompt and loses its masks: leave out --chat")
    joined = [part for pair in zip(around, counts) for part in pair]
    return [part for part in (*joined, around[-1]) if part != ""]


def split_template(wrap: Callable[[str], str], parts: Sequence[Part]) -> tuple[str, list[Part], str]:
    """Return the text that a chat template puts before a prompt, the prompt split at its masks, and the text after it.

    The template may drop white space at either end of the prompt.  Raises ValueError if it changes anything else.
    """
    text = "".join(part for part in parts if isinstance(part, str))
    edge, mark = [c for c in map(chr, PRIVATE) if c not in text][:2]
    whole = "".join(part if isinstance(part, str) else mark for part in parts)
    core = whole.strip()
    start = whole.index(core)
    pieces = wrap(f"{whole[:start]}{edge}{core}{edge}{whole[start + len(core) :]}").split(edge)
    if len(pieces) != 3 or pieces[1] != core:
        raise ValueError("The chat template changes the prompt: leave out --chat")
    counts = [part for part in parts if isinstance(part, int)]
    first, *others = core.split(mark)
    inside = [first, *(part for pair in zip(counts, others) for part in pair)]
    return pieces[0], [part for part in inside if part != ""], pieces[2]


def _count(mask: re.Match[str]) -> int:
    """Return the number of masks that a match means.  Raises ValueError for malformed braces."""
    if mask[1] is None:
        return 1
    read = COUNT.fullmatch(mask[1])
    count = int(read[1] or 1) if read is not None else 0
    if not 1 <= count <= MOST:
        raise ValueError(
            f"{mask[0][:40]!r} in the prompt is not a mask: write {{mask}}, or {{mask*8}} with 1 to {MOST}, "
            "or use --prompt-literal for plain text"
        )
    return count


def tokens_carry_space(pieces: Iterable[str]) -> bool:
    """Return whether tokens of a vocabulary include the space before a word."""
    return any(len(piece) > 1 and piece[0] == " " != piece[1] for piece in pieces)


def fixed(prompt: Sequence[int], mask_id: int) -> list[bool]:
    """Return whether each token of a prompt is fixed; masks are not."""
    return [token != mask_id for token in prompt]


def leading_fixed(fixed: Sequence[bool]) -> int:
    """Return the number of fixed tokens before the first mask."""
    return next((i for i, keep in enumerate(fixed) if not keep), len(fixed))


def check_left_to_right(name: str, fixed: Sequence[bool]) -> None:
    """Raise ValueError for text after a mask, which a causal model cannot take into account."""
    if not all(fixed[: sum(fixed)]):
        raise ValueError(
            f"{name} is causal, so it cannot fill a mask to fit the text after it: "
            "end the prompt before its first mask, or choose a masked model"
        )
