"""The tokenizer of a training run: trained on its text, or an existing one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from engine.data.special_tokens import END_OF_TEXT, MASK
from engine.models.catalogue import BUILT_IN, resolve
from engine.models.files.tokenizer_file import read_tokenizer
from engine.system.foreign import library_errors


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE whose first token ends a document and whose last is the mask."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([MASK])
    return tokenizer


def alphabet_tokenizer(letters: str) -> Tokenizer:
    """Return a tokenizer whose tokens are these letters, in order, and the mask behind them."""
    tokenizer = Tokenizer(models.WordLevel({letter: number for number, letter in enumerate(letters)}))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.add_special_tokens([MASK])
    return tokenizer


def local_tokenizer_file(name: str) -> Path | None:
    """Return the local file of a tokenizer: of a built-in model, a directory or a file; None if it does not exist."""
    path = (resolve(name) if name in BUILT_IN else None) or Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    return file if file.exists() else None


def existing_tokenizer(name: str) -> Tokenizer:
    """Load the tokenizer of a built-in model, a file, a directory or the hub, with an end of text and a mask.

    Those that it lacks are added after its last token.  Raises ValueError if there is no tokenizer.
    """
    file = local_tokenizer_file(name)
    with library_errors(f"{name} is not a tokenizer"):
        tokenizer = _from_hub(name) if file is None else read_tokenizer(file)
    # a file may configure truncation and padding
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.add_special_tokens([token for token in (END_OF_TEXT, MASK) if tokenizer.token_to_id(token) is None])
    # mark them as special even if they are ordinary words, so that they are never encoded from a text
    tokenizer.add_special_tokens([END_OF_TEXT, MASK])
    numbers = tokenizer.get_vocab().values()
    # the library numbers added tokens by the vocabulary's size, which may be taken where numbers are skipped
    if sorted(numbers) != list(range(len(numbers))):
        raise ValueError(f"the tokenizer {name} skips or repeats numbers of tokens: renumber its vocabulary from 0")
    return tokenizer


def vocabulary_size(name: str, configured: int | None) -> int:
    """Return the vocabulary size of a run with an existing tokenizer, special tokens included.

    configured: model.vocab_size, None or the tokenizer's size with or without the tokens that it lacks.
    Raises ValueError for another number.
    """
    file = local_tokenizer_file(name)
    tokenizer = existing_tokenizer(name)
    size = tokenizer.get_vocab_size()
    own = size if file is None else read_tokenizer(file).get_vocab_size()
    if configured is not None and not own <= configured <= size:
        raise ValueError(
            f"model.vocab_size is {configured}, and the tokenizer {name} has {size} tokens, end of text and mask "
            f"included: leave model.vocab_size out, or set it to {size}"
        )
    return size


def _from_hub(name: str) -> Tokenizer:
    from transformers import AutoTokenizer

    return Tokenizer.from_str(AutoTokenizer.from_pretrained(name, trust_remote_code=False).backend_tokenizer.to_str())
