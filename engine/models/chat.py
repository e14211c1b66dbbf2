"""A model's chat template: what its prompts were wrapped in when it was trained to answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.models.files import read_object
from engine.text.chat_template import render_chat

SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def chat_of(home: Path) -> Callable[[str], str] | None:
    """Map prompt to the prompt as one user's turn with the answer begun; None where the directory has no template.

    The template is untrusted: it is rendered in a process with limits, and no code of the directory runs.
    """
    config = tokenizer_config(home)
    template = _template(home, config)
    if template is None:
        return None
    named = {name: text for name in SPECIAL if (text := token_text(config.get(name)))}

    return lambda prompt: render_chat(template, prompt, named, str(home))


def tokenizer_config(home: Path) -> dict[str, Any]:
    """Return tokenizer_config.json of a directory, empty if it is missing.  Raises ValueError for a broken one."""
    return _config(home / "tokenizer_config.json")


def _config(path: Path) -> dict[str, Any]:
    return read_object(path, "a tokenizer's configuration") if path.is_file() else {}


def _template(home: Path, config: dict[str, Any]) -> str | None:
    """Return chat_template.jinja, else chat_template.json, else the one in the tokenizer's configuration."""
    if (home / "chat_template.jinja").is_file():
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
