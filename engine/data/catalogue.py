"""Published data sets by the names of MDLM's and ReMDM's code, and their sources on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from engine.data.detokenize import as_is, lambada, lm1b, ptb, scientific_papers, wikitext

TAIL = 100_000
"""The number of OpenWebText's last documents that are held out."""
CONVERTED = "refs/convert/parquet"
"""The hub's branch of tables for a data set that is published as a program, which is never run."""


@dataclass(frozen=True)
class Source:
    """One data set of the hub."""

    path: str
    config: str | None = None
    column: str = "text"
    splits: Mapping[str, str] = field(default_factory=dict)
    """split -> the hub's expression for it, where they differ"""
    detokenize: Callable[[str], str] = as_is
    program: bool = False
    """whether it is published as a program, so that its tables are on another branch"""
    tail: int = 0
    """documents at the end of the published training split that are held out, where the hub has no split of them"""


DATASETS: MappingProxyType[str, Source] = MappingProxyType(
    {
        "openwebtext-split": Source(
            "Skylion007/openwebtext",
            "plain_text",
            splits={"train": f"train[:-{TAIL}]", "validation": f"train[-{TAIL}:]", "test": f"train[-{TAIL}:]"},
            program=True,
            tail=TAIL,
        ),
        "wikitext103": Source("Salesforce/wikitext", "wikitext-103-raw-v1", detokenize=wikitext),
        "wikitext2": Source("Salesforce/wikitext", "wikitext-2-raw-v1", detokenize=wikitext),
        "lm1b": Source(
            "billion-word-benchmark/lm1b", "plain_text", splits={"validation": "test"}, detokenize=lm1b, program=True
        ),
        "ptb": Source(
            "ptb-text-only/ptb_text_only", "penn_treebank", column="sentence", detokenize=ptb, program=True
        ),
        "lambada": Source(
            "EleutherAI/lambada_openai", "default", splits={"validation": "test"}, detokenize=lambada
        ),
        "ag_news": Source("fancyzhx/ag_news", splits={"validation": "test"}),
        "scientific_papers_arxiv": Source(
            "armanc/scientific_papers", "arxiv", column="article", detokenize=scientific_papers, program=True
        ),
        "scientific_papers_pubmed": Source(
            "armanc/scientific_papers", "pubmed", column="article", detokenize=scientific_papers, program=True
        ),
        "text8": Source("afmck/text8"),
    }
)  # fmt: skip


HUB = "hub:"
"""hub:org/name, hub:org/name:config or hub:org/name:config:column is any other data set of the hub."""


def source_of(name: str) -> Source | None:
    """Return the data set of a name; None for an unknown name.  Raises ValueError for a malformed hub: name."""
    if not name.startswith(HUB):
        return DATASETS.get(name)
    parts = name.removeprefix(HUB).split(":")
    if not parts[0] or len(parts) > 3:
        raise ValueError(f"a data set of the hub is given as {HUB}org/name:config:column, not as {name!r}")
    config, column = (*parts[1:], "", "")[:2]
    return Source(parts[0], config or None, column or "text")


def hub_texts(name: str, split: str) -> Iterator[str]:
    """Return the texts of one split of a data set, as published, downloaded as a whole and cached.

    Raises ModuleNotFoundError that says what to install, ValueError if the data set cannot be loaded.
    """
    return _texts(name, split)


def hub_stream(name: str, split: str) -> Iterator[str]:
    """Return the texts of a split as a stream that is not cached; the training split includes its `tail`."""
    return _texts(name, split, streaming=True)


def _texts(name: str, split: str, **more: bool) -> Iterator[str]:
    source = source_of(name)
    if source is None:
        raise ValueError(f"unknown data set {name!r}: choose {', '.join(DATASETS)}, or {HUB}org/name")
    expression = "train" if more and split == "train" else source.splits.get(split, split)
    # older versions of the package run a data set's own script, or ask on standard input whether to
    os.environ["HF_DATASETS_TRUST_REMOTE_CODE"] = "0"
    try:
        datasets = import_module("datasets")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the data set {name} needs the package datasets: pip install 'remdm-tui[eval]', or give a file",
            name=error.name,
        ) from error
    try:
        if source.program:
            rows = datasets.load_dataset(
                source.path, data_dir=source.config, revision=CONVERTED, split=expression, **more
            )
        else:
            rows = datasets.load_dataset(source.path, source.config, split=expression, **more)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the data set {name} ({source.path}, {expression}) cannot be loaded: {reason}") from error
    return _column(name, source.column, rows)


def _column(name: str, column: str, rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    for row in rows:
        if column not in row:
            raise ValueError(f"the data set {name} has no column {column!r}: choose {', '.join(map(str, row))}")
        yield str(row[column])
