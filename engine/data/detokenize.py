"""Undo what a data set's makers did to its text: spaces around punctuation, marks for what a tokenizer cut apart.

A zero-shot perplexity depends on every one of these, so each data set has the rules that MDLM's code applies to it, in
that order.  Rules are (what, by what), plain strings or compiled patterns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Rule = tuple[str | re.Pattern[str], str]


def _apply(rules: Sequence[Rule], text: str) -> str:
    for what, by in rules:
        text = text.replace(what, by) if isinstance(what, str) else what.sub(by, text)
    return text


def _without_inner_space(opening: str, closing: str) -> Rule:
    """Return the rule that removes white space just inside a pair of brackets or quotes."""
    return re.compile(rf"{re.escape(opening)}\s*([^{re.escape(closing)}]*?)\s*{re.escape(closing)}"), (
        rf"{opening}\1{closing}"
    )


def _before(what: str, by: str) -> tuple[Rule, Rule]:
    """Return the rules for a pattern before a space and at the end of the text."""
    return (re.compile(f"{what} "), f"{by} "), (re.compile(f"{what}$"), by)


WIKITEXT: tuple[Rule, ...] = (
    ("s '", "s'"),
    *((f" @{mark}@ ", mark) for mark in "-,."),
    *((f" {mark} ", f"{mark} ") for mark in ":;.!?,"),
    *(_without_inner_space(*pair) for pair in ("()", "[]", "{}", '""', "''")),
    *(("= " * count + "=", "=" * (count + 1)) for count in (3, 2, 1)),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)
NUMBERS: tuple[Rule, ...] = ((" N ", " 1 "),) * 2
"""Twice, as neighbours share a space."""
PTB: tuple[Rule, ...] = (
    (" 's", "'s"),
    ("s ' ", "s' "),
    (" n't", "n't"),
    (" \n ", "\n"),
    ("\\/", "/"),
    *NUMBERS,
    ("$ 1", "$1"),
    ("# 1", "#1"),
    ("<unk>", "?"),
)
LM1B: tuple[Rule, ...] = (
    ("http : / / ", "http://"),
    ("https : / / ", "https://"),
    (re.compile(r" '(\w+)"), r"'\1"),
    *_before(r" (\w+) \.", r" \1."),
    *_before(r" \?", "?"),
    *_before(" !", "!"),
    *((f" {mark} ", f"{mark} ") for mark in ",:;"),
    (" / ", "/"),
    *((re.compile(rf"{quote} ([^{quote}]+) {quote}"), rf"{quote}\1{quote}") for quote in "\"'"),
    *((re.compile(rf"\{a} ([^\{a}\{b}]+) \{b}"), rf"{a}\1{b}") for a, b in ("()", "[]")),
    ("$ ", "$"),
    ("£ ", "£"),
)


def as_is(text: str) -> str:
    return text


def wikitext(text: str) -> str:
    return _apply(WIKITEXT, text)


def ptb(text: str) -> str:
    return _apply(PTB, text)


def lm1b(text: str) -> str:
    return _apply(LM1B, text)


def lambada(text: str) -> str:
    """Straighten quotes and put a line break before the passage, as GPT-2's evaluation does."""
    return "\n" + text.translate(dict.fromkeys(map(ord, "“”"), '"')).strip()


def scientific_papers(text: str) -> str:
    """Apply the rules of both WikiText and LM1B."""
    return lm1b(wikitext(text))
