"""The special tokens and the typography of tokenizers that are trained here."""

from __future__ import annotations

END_OF_TEXT = "<|endoftext|>"
MASK = "[MASK]"
PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’`´", "'"),
        **dict.fromkeys("‐‑", "-"),
        "–": "—",
        "\xa0": " ",
        "\xad": None,
        "\r": None,
    }
)


def is_own_tokenizer(first: str | None, last: str | None) -> bool:
    """Return whether these are the first and the last token of a tokenizer of `train_tokenizer`."""
    return (first, last) == (END_OF_TEXT, MASK)
