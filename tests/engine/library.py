"""Tiny models of the transformers library in directories, with tokenizers of every common kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["the cat sat on the mat, the dog on the log.", "a dog sings; the cats are singing to the log"]
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
}
RESIDUES = [*"LAGVSERTIDPKQNFYMHWCXBUZO.-"]
ESM_WORDS = ["<cls>", "<pad>", "<eos>", "<unk>", *RESIDUES, "<null_1>", "<mask>"]
BERT_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", ".", ","]
BERT_WORDS += ["the", "cat", "dog", "sat", "##s", "##ing", "sing", "on", "mat", "log"]


def quiet() -> None:
    """Keep the library from drawing bars while it writes."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def made(kind: str, **config: Any) -> Any:
    """Return a model of the library with random weights large enough to matter, by class name and settings."""
    quiet()
    torch.manual_seed(7)
    cls = getattr(transformers, kind)
    model = cls(cls.config_class(**config)).eval().requires_grad_(False)
    for name, p in model.named_parameters():
        p.data = torch.randn(p.shape) * 0.3 + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
    model.tie_weights()
    return model


def saved(model: Any, home: Path) -> Path:
    quiet()
    model.save_pretrained(home)
    return home


def byte_level(names: list[str], size: int = 300) -> Tokenizer:
    """Return a tokenizer of GPT-2's kind; names: its special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=names, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def word_piece() -> Tokenizer:
    """Return a tokenizer of BERT's kind."""
    words = {word: i for i, word in enumerate(BERT_WORDS)}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(BERT_WORDS[:5])
    return tokenizer


def meta_space() -> Tokenizer:
    """Return a tokenizer of T5's and XLM-RoBERTa's kind: unigrams with a stand-in for the space."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """Return a tokenizer of Llama 2's kind: pieces with a stand-in for the space, bytes for what has no piece."""
    names = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{i:02X}>" for i in range(256)),
        *(chr(i) for i in range(97, 123)),
        "▁",
        ".",
        ",",
    ]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "c"), ("a", "t"), ("▁c", "at")]
    names += ["".join(pair) for pair in merges]
    words = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(words, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def word_ends() -> Tokenizer:
    """Return a tokenizer of GPT-1's kind: the last piece of a word bears a mark."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(vocab_size=90, end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def whole_words() -> Tokenizer:
    """Return a tokenizer of whole words, without a decoder."""
    words = {word: i for i, word in enumerate(["<unk>", "the", "cat", "dog", "sat"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def write_bert(home: Path) -> None:
    """Write a vocabulary as BERT's first checkpoints had it: a list of words."""
    (home / "vocab.txt").write_text("\n".join(BERT_WORDS), encoding="utf-8")


def write_esm(home: Path) -> None:
    (home / "vocab.txt").write_text("\n".join(ESM_WORDS), encoding="utf-8")
    (home / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "EsmTokenizer"}), encoding="utf-8")


def write_file(tokenizer: Tokenizer, home: Path, **named: Any) -> None:
    """Write a tokenizer.json, and the roles of its special tokens."""
    tokenizer.save(str(home / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    (home / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_roberta(home: Path) -> None:
    names = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
    tokenizer = byte_level([str(getattr(name, "content", name)) for name in names])
    tokenizer.add_special_tokens(names[4:])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    roles = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    write_file(tokenizer, home, **roles, cls_token="<s>", sep_token="</s>")


def write_word_piece(home: Path) -> None:
    roles = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]"}
    write_file(word_piece(), home, **roles, unk_token="[UNK]")
