"""What the README promises is there."""

import re
from pathlib import Path

from engine.records import Change
from engine.strategies import catalogue
from remdm_tui.render.palette import palette
from remdm_tui.ui.key_table import KEYS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_strategies_is_the_registry():
    table = README[README.index("| name | rule |") :]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(info.name, info.summary) for info in catalogue()]


def test_the_python_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace = {}
    exec(code, namespace)
    assert namespace["session"].index == 40
    assert len(capsys.readouterr().out) > 100


def test_the_glyphs_are_those_on_screen():
    looks = palette().looks
    assert looks[Change.MASKED].fill * 3 in README
    assert looks[Change.REMASKED].fill * 3 in README


SYMBOLS = {
    "→": "right",
    "←": "left",
    "<": "less_than_sign",
    ">": "greater_than_sign",
    "-": "minus",
    "+": "plus",
    "{": "left_curly_bracket",
    "}": "right_curly_bracket",
    "(": "left_parenthesis",
    ")": "right_parenthesis",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "/": "slash",
    "?": "question_mark",
    ":": "colon",
    "#": "number_sign",
    "*": "asterisk",
}


def keys_of_the_table() -> set[str]:
    table = README[README.index("| key |") : README.index("Every knob also answers")]
    return {SYMBOLS.get(key, key) for key in re.findall(r"`(.+?)`", table)} - {"--batch", "fg"}


def test_the_keys_are_those_of_the_application():
    bound = {key for binding in KEYS for key in binding.key.split(",")}
    assert keys_of_the_table() <= bound


def test_every_key_is_in_the_table():
    shown = keys_of_the_table()
    # shift turns a key round, and ctrl+arrows and page keys move as they do everywhere
    plain = [b for b in KEYS if not re.match(r"shift\+|ctrl\+(up|down)|page", b.key)]
    assert [b.id for b in plain if not shown & set(b.key.split(","))] == []
