"""A tiny GPT-2 of random weights with its tokenizer, as transformers would save them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from engine.data.special_tokens import END_OF_TEXT
from engine.training.tokenizers import train_tokenizer

SENTENCE = "the cat sat on the mat and the dog lay on the log while a bird sang of rain in the old green wood"
WORDS = SENTENCE.split()


def texts(count: int, seed: int = 0, longest: int = 30) -> list[str]:
    """Return nonsense texts of 1 to `longest` words."""
    noise = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=noise).tolist()
    return [" ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=noise).tolist()) for n in lengths]


def save_gpt2(home: Path, positions: int = 64) -> Path:
    """Save a GPT-2 whose logits are far from flat, and return its directory."""
    codec = train_tokenizer(iter(texts(50)), 300)
    size = codec.get_vocab_size()
    end = codec.token_to_id(END_OF_TEXT)
    torch.manual_seed(11)
    config = GPT2Config(
        vocab_size=size, n_positions=positions, n_embd=24, n_layer=2, n_head=3, bos_token_id=end, eos_token_id=end,
        initializer_range=0.3,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(home)
    named = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    PreTrainedTokenizerFast(tokenizer_object=codec, **named).save_pretrained(home)
    return home
