"""The tokenizer of a checkpoint of the transformers library: found, made, and what it puts around a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.files.regular import is_there
from engine.models.chat import ChatTemplate
from engine.models.files import read_object
from engine.models.hub import TOKENIZERS
from engine.models.loading import LoadRequest
from engine.models.pretrained import gguf_file, plain_errors
from engine.models.text import Codec
from engine.models.tokenizer import fetched_tokenizer
from engine.text.infill import NAMED

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

LOCAL = {"local_files_only": True}
NO_CODE = LOCAL | {"trust_remote_code": False}
"""Without an answer, the library asks on standard input whether to run a tokenizer's own code."""


class Framing(NamedTuple):
    """Tokens that the tokenizer puts before and after every text: [CLS] and [SEP], <s> and </s>."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


def open_tokenizer(request: LoadRequest, config: PreTrainedConfig) -> Any:
    """Return the tokenizer requested, else the checkpoint's own.  Raises ValueError if neither exists."""
    from transformers import AutoTokenizer

    home = fetched_tokenizer(request)
    gguf = gguf_file(home)
    if home.is_file() and gguf is None:
        return _of_file(request, home, config)
    if home.is_dir() and not any(True for name in TOKENIZERS for _ in home.glob(name)) and gguf is None:
        raise ValueError(f"{home} has no tokenizer: give one with --tokenizer DIRECTORY, FILE or hub id")
    if gguf is not None and not (home / "tokenizer_config.json").is_file():
        return _made(request, lambda: AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, **NO_CODE))
    lone = home / "vocab.txt"
    guess = {} if (home / "tokenizer_config.json").is_file() or not lone.is_file() else _casing(lone)
    guess["trust_remote_code"] = request.trust_remote_code
    return _made(request, lambda: AutoTokenizer.from_pretrained(str(home), config=config, **guess, **LOCAL))


def check_tokenizer_size(request: LoadRequest, codec: Codec, size: int) -> None:
    """Raise ValueError for a tokenizer with more tokens than the network knows."""
    if codec.size > size:
        raise ValueError(f"{request.name}: the tokenizer has {codec.size} tokens, the model {size}")


def framing(tokenizer: Any) -> Framing:
    """Return what the tokenizer puts around a text, by what it puts around a token or a letter."""
    for text in (tokenizer.mask_token, "a", "A", "."):
        bare = tokenizer.encode(text, add_special_tokens=False) if text else []
        whole = tokenizer.encode(text) if bare else []
        for i in range(len(whole) - len(bare) + 1):
            if bare and whole[i : i + len(bare)] == bare:
                return Framing(tuple(whole[:i]), tuple(whole[i + len(bare) :]))
    return Framing((), ())


def pretrained_chat(request: LoadRequest, tokenizer: Any, start: str = "") -> ChatTemplate | None:
    """Return the chat template; `start` is left out, where the network is given it anyway."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):  # several by name
        template = template.get("default") or next(iter(template.values()), None)
    if not isinstance(template, str) or not template:
        return None
    named = {role: str(text) for role, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
    return ChatTemplate(template, named, request.name, start)


def _of_file(request: LoadRequest, path: Path, config: PreTrainedConfig) -> Any:
    """Return a tokenizer.json, or a vocabulary in the form that the model's own kind of tokenizer reads."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if path.suffix == ".json":
        special = _named_by(path.parent, config)
        make: Any = PreTrainedTokenizerFast
        return _made(request, lambda: make(tokenizer_file=str(path), **special))
    if path.name != "vocab.txt":
        raise ValueError(
            f"{path} is not a tokenizer of a known kind: give a tokenizer.json, a vocab.txt or a directory"
        )
    casing = _casing(path)
    return _made(request, lambda: AutoTokenizer.from_pretrained(str(path.parent), config=config, **casing, **NO_CODE))


def _named_by(home: Path, config: PreTrainedConfig) -> dict[str, str]:
    """Return the special tokens of a tokenizer.json by their roles, as the directory's map says."""
    neighbour = home / "special_tokens_map.json"
    if not is_there(neighbour):
        return {}
    named = read_object(neighbour, "a map of special tokens")
    words = {role: token.get("content") if isinstance(token, dict) else token for role, token in named.items()}
    return {role: word for role, word in words.items() if isinstance(word, str)}


def _casing(vocabulary: Path) -> dict[str, Any]:
    """Return the tokenizer's lower-casing: off for a vocabulary with capitals, which a word list does not state."""
    words = vocabulary.read_text(encoding="utf-8", errors="replace").split()
    return {"do_lower_case": not any(word != word.lower() for word in words if not NAMED.fullmatch(word))}


def _made(request: LoadRequest, make: Callable[[], Any]) -> Any:
    with plain_errors(f"the tokenizer of {request.name}"):
        tokenizer = make()
    if tokenizer is False or tokenizer is None or len(tokenizer) == 0:
        raise ValueError(f"the tokenizer of {request.name} has no vocabulary: give one with --tokenizer")
    return tokenizer
