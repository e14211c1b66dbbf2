"""Keys that a person has chosen: what is valid is used, and what is not is reported and changes nothing."""

import json
import random
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remdm_tui.cli import app
from remdm_tui.preferences import config_file
from remdm_tui.preferences.config_file import Configuration, read_configuration
from remdm_tui.preferences.keymap import ALIASES, RESERVED_KEYS, KeyTable, keymap
from remdm_tui.ui.key_table import KEYS

IDS = [binding.id for binding in KEYS]


def owners(mapped):
    """Whose each key is; AssertionError where two have one.  A panel's key may be one of the screen's too."""
    found = {}
    for binding in KeyTable(KEYS, mapped).bound():
        for key in binding.key.split(","):
            place = getattr(binding, "panel", ""), key
            assert place not in found, (place, binding.id, found[place])
            found[place] = binding.id
    return found


def test_every_key_has_an_id_of_its_own_and_one_action():
    assert None not in IDS
    assert len(set(IDS)) == len(IDS)
    owners({})


@pytest.mark.parametrize(
    ("wanted", "mapped"),
    [
        ({"play": "f8"}, {"play": "f8"}),
        ({"play": "f8, ctrl+space"}, {"play": "f8,ctrl+space"}),
        ({"help": "!"}, {"help": "exclamation_mark"}),
        ({"help": "-", "knob-down": "exclamation_mark"}, {"help": "minus", "knob-down": "exclamation_mark"}),
        ({"slower": ","}, {"slower": "comma"}),
        ({"play": "s", "strategy-next": "space"}, {"play": "s", "strategy-next": "space"}),
        ({"play": "space"}, {"play": "space"}),
    ],
    ids=["one", "two", "a character", "a character's own name", "a comma", "swapped", "as it was"],
)
def test_keys_are_taken(wanted, mapped):
    assert keymap(wanted, KEYS) == (mapped, [])
    owners(mapped)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"plai": "x"}, "no key has the id 'plai': perhaps play"),
        ({"xyzzy": "x"}, "no key has the id 'xyzzy': `remdm-tui list keys` has them"),
        ({"play": 3}, 'the key of play must be a text such as "space,x", not 3'),
        ({"play": "no_such"}, "the key of play: no key is called 'no_such'"),
        ({"play": ""}, "the key of play: no key is called ''"),
        ({"play": "\x07"}, "the key of play is not a key"),
        ({"play": "s"}, "s cannot be the key of play: strategy-next has it"),
        ({"play": "f8", "help": "f8"}, "f8 cannot be the key of help: play has it"),
        ({"play": "ctrl+p"}, "ctrl+p cannot be the key of play: it is reserved for the command palette"),
    ],
)
def test_what_cannot_be_had_is_one_sentence_and_keeps_its_own_keys(wanted, sentence):
    mapped, problems = keymap(wanted, KEYS)
    assert problems == [sentence]
    owners(mapped)


def test_giving_up_a_key_that_is_taken_gives_up_no_other():
    # play gives way to strategy-next, so that space is its own again, which breakpoints then cannot have
    mapped, problems = keymap({"play": "s", "breakpoints": "space", "help": "f1"}, KEYS)
    assert mapped == {"help": "f1"}
    assert len(problems) == 2


def test_whatever_is_written_no_key_is_lost_or_doubled():
    rng = random.Random(0)
    spelled = [
        *sorted({key for _, key in owners({})}),
        *RESERVED_KEYS,
        "f8",
        "ctrl+x",
        "?",
        ",",
        "",
        "nope",
        "\x00",
        "\u202e",
    ]

    def anything():
        keys = ",".join(rng.choices(spelled, k=rng.randint(1, 3)))
        return rng.choice([keys, keys, keys, 3, None, [], {}, "x" * 999])

    for _ in range(1_000):
        wanted = {name: anything() for name in rng.sample([*IDS, "nope", ""], rng.randint(0, 12))}
        mapped, problems = keymap(wanted, KEYS)
        found = owners(mapped)
        assert set(found.values()) == set(IDS)
        assert not {key for _, key in found} & set(RESERVED_KEYS)
        assert len(problems) == len(wanted) - len(mapped)
        assert all(problem.isprintable() and len(problem) < 200 for problem in problems)


EARLIER = """
    play forward back jump-forward jump-back start end slower faster strategy-next strategy-previous eta-down eta-up
    p-down p-up temperature-down temperature-up knob-next knob-previous knob-down knob-up knob-type compare add-pane
    pane-next pane-previous heat restart next-seed sample-next sample-previous page-down page-up copy stops inspect
    cursor-next cursor-previous cursor-down cursor-up search change-next change-previous opinion mask force lock prompt
    branch branch-next branch-previous differences parting mark mark-next mark-previous legend tour export keep revive
    model about cancel help suspend quit
"""
"""Ids that a person's file may have."""


def test_ids_of_earlier_versions_still_mean_their_keys():
    for name in EARLIER.split():
        assert keymap({name: "f9"}, KEYS) == ({ALIASES.get(name, name): "f9"}, [])
    assert set(ALIASES.values()) <= set(IDS)
    assert not set(ALIASES) & set(IDS)
    assert keymap({"stops": "f7", "mark": "f8"}, KEYS) == ({"breakpoints": "f7", "bookmark": "f8"}, [])
    mapped, problems = keymap({"breakpoints": "f7", "stops": "f8"}, KEYS)
    assert mapped == {"breakpoints": "f7"}
    assert problems == ["stops is an older id of breakpoints, whose key is set already"]


# -- the file


def written(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_configuration(KEYS, path)


def test_a_configuration_is_taken(tmp_path):
    known = written(tmp_path, 'theme = "nord"\nascii = true\nmouse = false\nremember = false\n[keys]\nplay = "f8"\n')
    assert known == Configuration("nord", True, False, False, {"play": "f8"})


def test_without_a_file_all_is_as_it_is(tmp_path):
    assert read_configuration(KEYS, tmp_path / "none" / "config.toml") == Configuration()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("theme = ", "cannot be read: Invalid value"),
        (b"\xff\xfe", "cannot be read: 'utf-8' codec"),
        ("x = " + "[" * 5000 + "]" * 5000, "cannot be read: it is nested too deeply"),
        (b"#" * (1 << 21), "cannot be read: it is too large"),
        ('theme = "nope"', "no theme 'nope'; themes: textual-dark"),
        ("ascii = 1", "ascii must be true or false, not 1"),
        ("keys = 3", "keys must be a table, [keys], not 3"),
        ("colour = 3", "no setting 'colour'; settings: theme, ascii, mouse, remember, confirm_quit, [keys]"),
    ],
    ids=["no TOML", "no text", "deep", "large", "theme", "kind", "no table", "name"],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path, text, sentence):
    known = written(tmp_path, text)
    assert known == Configuration(problems=known.problems)
    (problem,) = known.problems
    assert sentence in problem
    assert "\n" not in problem


def test_a_directory_in_its_place_is_one_sentence(tmp_path):
    (tmp_path / "config.toml").mkdir()
    assert "a directory, not a regular file" in read_configuration(KEYS, tmp_path / "config.toml").problems[0]


# -- what is listed


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = config_file.place()
    path.parent.mkdir(parents=True)
    path.write_text('[keys]\nplay = "f8"\nnope = "x"\n')
    return path


def test_keys_are_listed_as_they_are_now(own):
    text = CliRunner().invoke(app, ["list", "keys"]).output
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert set(IDS) <= set(rows)
    assert "f8" in rows["play"]
    assert "no key has the id 'nope'" in text
    assert str(own) in text


def test_keys_are_listed_for_programs(own):
    listed = json.loads(CliRunner().invoke(app, ["list", "keys", "--json"]).output)
    assert [row["name"] for row in listed] == IDS
    assert listed[0]["keys"] == ["f8"]
    assert KeyTable(KEYS).shown()["play"] == "space"


def test_the_example_of_the_documents_means_something(tmp_path):
    document = (Path(__file__).parent.parent.parent / "docs" / "terminal.md").read_text(encoding="utf-8")
    block = document[document.index("    theme = ") :].partition("\n\nThe help")[0]
    known = written(tmp_path, textwrap.dedent(block))
    assert known.problems == ()
    assert set(known.keys) == {"play", "help", "strategy-next", "breakpoints"}
