"""Tasks of lm-evaluation-harness as files: YAML beside JSON, nothing from the internet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

OPENINGS = (
    "The old man", "It was", "She went", "In the morning", "A letter", "He said", "When the door opened", "No one",
    "The house", "Every evening the", "They had", "His brother",
)  # fmt: skip
VOWEL = r"([aeiou])"


def write_task(home: Path, name: str, docs: list[dict[str, Any]], **config: Any) -> Path:
    """Write a task over documents in a file; return the YAML file."""
    home.mkdir(parents=True, exist_ok=True)
    data = home / f"{name}.json"
    data.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    whole = {
        "task": name, "dataset_path": "json", "test_split": "test",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(home / "cache")}, **config,
    }  # fmt: skip
    path = home / f"{name}.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def vowels(home: Path, name: str = "vowels", count: int = 10, **config: Any) -> Path:
    """Write a task of text openings; an answer is right if its first vowel is the document's."""
    docs = [{"question": OPENINGS[i % len(OPENINGS)], "answer": "aei"[i % 3]} for i in range(count)]
    found = {
        "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n\n", "."], "do_sample": False},
        "filter_list": [
            {"name": "first", "filter": [{"function": "regex", "regex_pattern": VOWEL}, {"function": "take_first"}]}
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }  # fmt: skip
    return write_task(home, name, docs, **found | config)


def choices(home: Path, count: int = 4) -> Path:
    """Write a task that compares two endings."""
    docs = [{"question": opening, "endings": ["went home", "zzz qq"], "label": 0} for opening in OPENINGS[:count]]
    return write_task(
        home, "choices", docs, output_type="multiple_choice", doc_to_text="{{question}}", doc_to_target="label",
        doc_to_choice="endings", metric_list=[{"metric": "acc"}, {"metric": "acc_norm"}],
    )  # fmt: skip


def texts(home: Path) -> Path:
    """Write a task that scores whole texts."""
    docs = [
        {"text": f"{opening} went down to the river." * (1 + 9 * (i == 0))} for i, opening in enumerate(OPENINGS[:3])
    ]
    metrics = [{"metric": name} for name in ("word_perplexity", "bits_per_byte")]
    return write_task(
        home, "texts", docs, output_type="loglikelihood_rolling", doc_to_text="", doc_to_target="{{text}}",
        metric_list=metrics,
    )  # fmt: skip
