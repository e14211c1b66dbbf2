"""A model's chat template: what its prompts were wrapped in when it was trained to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files.regular import is_there
from engine.models.files import read_object
from engine.text.chat_template import Turn, render_chat

SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class ChatTemplate:
    """The template of a directory.

    It is untrusted: it is rendered in a process with limits, and no code of the directory runs.
    """

    source: str
    special: Mapping[str, str]
    """texts of special tokens by role"""
    owner: str
    """who is named in errors"""
    start: str = ""
    """removed from the beginning, because the network is given it anyway"""

    def __call__(self, prompt: str) -> str:
        """Return the prompt as one user's turn, followed by the start of the answer.  Raises ValueError."""
        return self.render([{"role": "user", "content": prompt}])

    def render(self, turns: Sequence[Turn], *, begin_answer: bool = True) -> str:
        """Return a conversation and the start of the answer, or a conversation whose last turn is open.

        Raises ValueError.
        """
        text = render_chat(self.source, turns, self.special, self.owner, begin_answer=begin_answer)
        text = text.removeprefix(self.start)
        if begin_answer:
            return text
        # the turn's own end would close it
        last = turns[-1]["content"].strip()
        at = text.rfind(last)
        if at < 0:
            raise ValueError(f"the chat template of {self.owner} changes the last turn, which the answer continues")
        return text[: at + len(last)]


def chat_of(home: Path) -> ChatTemplate | None:
    """Return the chat template of a directory; None where it has none."""
    config = tokenizer_config(home)
    template = _template(home, config)
    if template is None:
        return None
    named = {name: text for name in SPECIAL if (text := token_text(config.get(name)))}
    return ChatTemplate(template, named, str(home))


def tokenizer_config(home: Path) -> dict[str, Any]:
    """Return tokenizer_config.json of a directory, empty if it is missing.  Raises ValueError for a broken one."""
    return _config(home / "tokenizer_config.json")


def _config(path: Path) -> dict[str, Any]:
    return read_object(path, "a tokenizer's configuration") if is_there(path) else {}


def _template(home: Path, config: dict[str, Any]) -> str | None:
    """Return chat_template.jinja, else chat_template.json, else the one in the tokenizer's configuration."""
    if is_there(home / "chat_template.jinja"):
        return (home / "chat_template.jinja").read_text(encoding="utf-8", errors="replace")
    found = _config(home / "chat_template.json").get("chat_template") or config.get("chat_template")
    if isinstance(found, list):  # several by name
        by_name = {str(one.get("name")): one.get("template") for one in found if isinstance(one, dict)}
        found = by_name.get("default") or next(iter(by_name.values()), None)
    return found if isinstance(found, str) else None


def token_text(token: Any) -> str:
    """Return a special token's text, empty if it is missing; some files give its properties with it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""
