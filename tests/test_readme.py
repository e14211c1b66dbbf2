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
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", table, re.MULTILINE)
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


def test_the_keys_are_those_of_the_application():
    table = README[README.index("| key |") : README.index("Every knob also answers")]
    keys = set(re.findall(r"`(.+?)`", table)) - {"--batch", "fg"}
    named = {
        "→": "right",
        "←": "left",
        "<": "less_than_sign",
        ">": "greater_than_sign",
        "-": "minus",
        "+": "plus",
        "{": "left_curly_bracket",
        "}": "right_curly_bracket",
    }
    bound = {key for binding in KEYS for key in binding.key.split(",")}
    assert {named.get(key, key) for key in keys} <= bound
