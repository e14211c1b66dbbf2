"""The command line: a typed text becomes a command, or a sentence that says what would be valid.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from engine.debug.breakpoints import CONDITIONS, FORMS
from engine.debug.fields import FIELDS
from engine.records import Knob, KnobInfo, Settings, StrategyInfo
from remdm_tui.settings.knobs import knob_text, own_knobs, panel, span

SIGN = ":"
"""The sign that opens the line; it may be typed again."""


@dataclass(frozen=True)
class GoToStep:
    """Pause at a recorded step."""

    step: int


@dataclass(frozen=True)
class SetKnob:
    """Set a knob, or the strategy, for the next step; the value is checked."""

    name: str
    value: Knob


@dataclass(frozen=True)
class AddBreakpoint:
    """Add a breakpoint; the condition is checked where the vocabulary is known."""

    condition: str


@dataclass(frozen=True)
class Keep:
    """Save the recording, and all that follows, in a file."""

    file: str


@dataclass(frozen=True)
class Export:
    """Export the recording; the ending sets the format."""

    file: str


@dataclass(frozen=True)
class QuitSession:
    """End the session."""


TypedCommand = GoToStep | SetKnob | AddBreakpoint | Keep | Export | QuitSession


@dataclass(frozen=True)
class Vocabulary:
    """What can be named at the moment."""

    settings: Settings
    strategies: tuple[StrategyInfo, ...] = ()
    recorded: int = 0
    """the last recorded step"""
    endings: tuple[str, ...] = ()
    """of the files that can be exported, without dots"""
    ending: str = "remdm"
    """of a recording, without a dot"""
    stem: str = "run"
    """a name for a file, without an ending"""

    @property
    def knobs(self) -> dict[str, tuple[KnobInfo, Knob]]:
        """The knobs that have an effect, with their values, by name; the strategy is the first."""
        return {info.name: (info, value) for info, value in panel(self.settings, self.strategies)}


@dataclass(frozen=True)
class Verb:
    """One command word: how it is typed, how its argument is read, and how that is completed."""

    form: str
    doc: str
    read: Callable[[str, Vocabulary], TypedCommand]
    complete: Callable[[str, Vocabulary], Iterable[str]] = lambda argument, known: ()
    """returns whole arguments"""


def parse_command(text: str, known: Vocabulary) -> TypedCommand:
    """Return the command that a text names.

    Raises ValueError that says what is wrong and what would be valid.
    """
    word, argument = _split(text)
    if not word:
        raise ValueError(f"Type a step, a knob with a value, or a command: {', '.join(VERBS)}")
    if word.lstrip("+-").replace(".", "", 1).isdecimal():
        return _step(word, argument, known)
    if word in VERBS:
        return VERBS[word].read(argument, known)
    name, equals, value = word.partition("=")
    if equals:
        word, argument = name, f"{value} {argument}".strip()
    return _knob(word, argument.removeprefix("=").strip(), known)


def complete(text: str, known: Vocabulary) -> tuple[str, ...]:
    """Return the lines that `text` can become, in the order in which they are listed."""
    line = text.lstrip(f"{SIGN} ")
    word, argument = _split(line)
    if not any(character.isspace() for character in line):
        verbs = [f"{name} " if VERBS[name].form != name else name for name in VERBS]
        return tuple(name for name in [*(f"{name} " for name in known.knobs), *verbs] if name.startswith(word))
    if word in VERBS:
        found = VERBS[word].complete(argument, known)
    elif word in known.knobs:
        info, value = known.knobs[word]
        found = info.choices or (knob_text(value),)
    else:
        found = ()
    return tuple(f"{word} {one}" for one in found if one.startswith(argument))


def describe_line(text: str, known: Vocabulary) -> str:
    """Return what the line expects after what was typed."""
    word, _ = _split(text)
    word = word.partition("=")[0]
    if word in VERBS:
        return f"{VERBS[word].form}: {VERBS[word].doc}"
    if word in known.knobs:
        info, value = known.knobs[word]
        return f"{word}, now {knob_text(value)}: {span(info)}"
    if word.isdecimal():
        return f"go to a step, 0 to {known.recorded}"
    return f"a step, a knob and its value, {', '.join(VERBS)}"


def _split(text: str) -> tuple[str, str]:
    """Return the first word of a line, and the rest."""
    word, _, argument = text.strip().removeprefix(SIGN).lstrip().partition(" ")
    return word, argument.strip()


def _step(word: str, argument: str, known: Vocabulary) -> TypedCommand:
    valid = f"0 to {known.recorded} are recorded"
    if not word.isdecimal() or not word.isascii() or argument:
        raise ValueError(f"A step is one whole number: {valid}, not {f'{word} {argument}'.strip()!r:.40}")
    # a number of thousands of digits is no step, and Python refuses to read it
    if len(word) > 9 or int(word) > known.recorded:
        raise ValueError(f"Step {word:.12} is not recorded: {valid}")
    return GoToStep(int(word))


def _knob(name: str, argument: str, known: Vocabulary) -> TypedCommand:
    """Return the command that sets a knob.  Raises ValueError for an unknown one, and for a value out of range."""
    if name not in known.knobs:
        raise ValueError(_unknown(name, known))
    info, value = known.knobs[name]
    if not argument:
        raise ValueError(f"{name} is {knob_text(value)}. Type a value behind it: {span(info)}")
    try:
        return SetKnob(name, info.check(argument))
    except ValueError as error:
        raise ValueError(f"{error}{_perhaps(argument, info.choices)}") from None


def _unknown(name: str, known: Vocabulary) -> str:
    """Return why a word is no command and no knob, and which is meant."""
    settings = known.settings
    hidden = next((info for info in own_knobs(settings.strategy, known.strategies) if info.name == name), None)
    if hidden is not None and hidden.needs is not None:
        return f"{name} has no effect unless {hidden.needs[0]} is {hidden.needs[1].replace('|', ' or ')}"
    if hidden is not None:
        return f"{name} has one value only: {span(hidden)}"
    others = [one.name for one in known.strategies if any(info.name == name for info in one.knobs)]
    if others:
        return f"{settings.strategy} has no knob {name}. Strategies with one: {', '.join(others)}"
    if any(one.name == name for one in known.strategies):
        return f"To take {name}, type strategy {name}"
    names = [*known.knobs, *VERBS]
    return f"No command and no knob is called {name!r:.40}" + (
        _perhaps(name, names) or f". There are a step, {', '.join(names)}"
    )


def _perhaps(word: str, names: Sequence[str]) -> str:
    """Return the nearest names as the end of a sentence; empty if none is near."""
    near = get_close_matches(word, names, 3)
    return f". Perhaps {' or '.join(near)}?" if near else ""


# -- the verbs


def _read_breakpoint(argument: str, known: Vocabulary) -> TypedCommand:
    if not argument:
        raise ValueError(f"A breakpoint needs a condition, such as {CONDITIONS[0].form} or {CONDITIONS[-1].form}")
    return AddBreakpoint(argument)


def _complete_breakpoint(argument: str, known: Vocabulary) -> Iterable[str]:
    """Return the argument with its last word completed: the kind of a condition, or a field."""
    word = re.search(r"\w*$", argument)
    assert word is not None
    before = argument[: word.start()]
    names = dict.fromkeys([*(() if before else FORMS), *FIELDS])
    return [before + name for name in names if name.startswith(word.group())]


def _read_keep(argument: str, known: Vocabulary) -> TypedCommand:
    if argument and "." not in argument.rpartition("/")[2]:
        argument += f".{known.ending}"
    return Keep(_file(argument, (known.ending,), known, "w"))


def _read_export(argument: str, known: Vocabulary) -> TypedCommand:
    return Export(_file(argument, known.endings, known, "export"))


def _file(argument: str, endings: Sequence[str], known: Vocabulary, word: str) -> str:
    """Return a file name with one of these endings.  Raises ValueError for another."""
    if not argument:
        raise ValueError(f"Type a file name, such as {word} {known.stem}.{endings[0]}")
    stem, dot, ending = argument.rpartition(".")
    if not dot or not stem or ending.lower() not in endings:
        wrong = f"Unknown ending {ending!r:.20}" if dot and stem else "The name has no ending"
        raise ValueError(f"{wrong}: {', '.join(endings)}" + (_perhaps(ending, endings) if dot and stem else ""))
    return argument


def _complete_file(argument: str, endings: Sequence[str], known: Vocabulary) -> list[str]:
    stem, dot, ending = argument.rpartition(".")
    if not dot or "/" in ending:
        return [f"{argument if argument and not argument.endswith('/') else argument + known.stem}.{one}"
                for one in endings]  # fmt: skip
    return [f"{stem}.{one}" for one in endings if one.startswith(ending)]


def _read_quit(argument: str, known: Vocabulary) -> TypedCommand:
    if argument:
        raise ValueError(f"q takes nothing more, not {argument!r:.40}")
    return QuitSession()


VERBS: dict[str, Verb] = {
    "break": Verb("break CONDITION", "stop where it becomes true", _read_breakpoint, _complete_breakpoint),
    "w": Verb(
        "w FILE.remdm", "keep the recording and all that follows", _read_keep,
        lambda argument, known: _complete_file(argument, (known.ending,), known),
    ),
    "export": Verb(
        "export FILE", "write the run; the ending sets the format", _read_export,
        lambda argument, known: _complete_file(argument, known.endings, known),
    ),
    "q": Verb("q", "end the session", _read_quit),
}  # fmt: skip
"""Every command word; a step and the names of knobs are commands too."""
