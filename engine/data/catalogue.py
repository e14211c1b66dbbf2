"""The data sets that the field reports on, by the names of MDLM's and ReMDM's code, and where the hub has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from engine.data.detokenize import as_is, lambada, lm1b, ptb, scientific_papers, wikitext

TAIL = 100_000
"""Documents of OpenWebText, its last, that are held out."""
CONVERTED = "refs/convert/parquet"
"""The hub's own branch of tables for a data set that is published as a program, which is not run."""


@dataclass(frozen=True)
class Source:
    """One data set of the hub."""

    path: str
    config: str | None = None
    column: str = "text"
    splits: Mapping[str, str] = field(default_factory=dict)
    """split asked for -> expression of the hub's, where they differ"""
    detokenize: Callable[[str], str] = as_is
    program: bool = False
    """whether it is published as a program, so that its tables are on another branch"""


DATASETS: MappingProxyType[str, Source] = MappingProxyType(
    {
        "openwebtext-split": Source(
            "Skylion007/openwebtext",
            "plain_text",
            splits={"train": f"train[:-{TAIL}]", "validation": f"train[-{TAIL}:]", "test": f"train[-{TAIL}:]"},
            program=True,
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


def hub_texts(name: str, split: str) -> Iterator[str]:
    """The texts of one split of a data set in DATASETS, as published.

    Raises ModuleNotFoundError that says what to install, ValueError where the hub gives none.
    """
    source = DATASETS[name]
    try:
        datasets = import_module("datasets")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the data set {name} takes the package datasets: pip install 'remdm-tui[eval]', or give a file",
            name=error.name,
        ) from error
    asked = source.splits.get(split, split)
    try:
        if source.program:
            rows = datasets.load_dataset(source.path, data_dir=source.config, revision=CONVERTED, split=asked)
        else:
            rows = datasets.load_dataset(source.path, source.config, split=asked)
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"the data set {name} ({source.path}, {asked}) cannot be had: {said}") from error
    return (str(row[source.column]) for row in rows)
