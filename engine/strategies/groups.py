"""The strategies by what they read: what a plan looks at tells what it can do, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable

from engine.records import StrategyInfo

GROUPS: tuple[tuple[str, frozenset[str]], ...] = (
    ("the simplex of the vocabulary, in the place of masks", frozenset({"simplex"})),
    ("a trained head's score", frozenset({"quality"})),
    ("what the network says of a token that it cannot see", frozenset({"verified"})),
    ("the network's view now and at the last step", frozenset({"previous", "divergence"})),
    ("the network's view of every position", frozenset({"committed", "drawn"})),
    ("the network's view of masked positions", frozenset({"masked", "spread"})),
    ("the probability of each token when it was revealed", frozenset({"held"})),
)
"""A strategy belongs to the first group of which it reads a word."""
TIME = "time alone"


def group_of(info: StrategyInfo) -> str:
    """Return the title of a strategy's group."""
    return next((title for title, words in GROUPS if words & set(info.reads)), TIME)


def grouped(infos: Iterable[StrategyInfo]) -> dict[str, list[StrategyInfo]]:
    """Return the strategies by group, those that read least first, each group in the given order."""
    known = list(infos)
    titles = [TIME, *(title for title, _ in reversed(GROUPS))]
    found = {title: [info for info in known if group_of(info) == title] for title in titles}
    return {title: members for title, members in found.items() if members}
