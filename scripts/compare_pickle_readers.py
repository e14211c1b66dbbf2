"""Reads the tests' malicious checkpoints by our reader and by torch.load, and counts how each attempt ends.

PYTHONPATH=. python scripts/compare_pickle_readers.py
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from engine.models.files import PickledWeights
from tests.engine import test_malicious_files as tests
from tests.engine.malicious import Stored, checkpoint, resident, view, zipped

PROCESSOR_SECONDS = 20
SLOW, LARGE = 1.0, 128 << 20
"""What the tests allow a reader, in seconds of the processor and in bytes."""


def by_torch(path: Path) -> None:
    with torch.serialization.safe_globals([]):
        torch.load(path, weights_only=True, mmap=True)


READERS: dict[str, Callable[[Path], object]] = {"engine.models.files": PickledWeights, "torch.load": by_torch}


def parameters(test: Any) -> Any:
    """Return what a parametrised test is run with."""
    return test.pytestmark[0].args[1]


def cases(home: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield a name, a file, and the directory that exists once the file has run code."""
    marker = home / "ran"
    for name, payload in tests.opcodes(marker).items():
        yield f"call: {name}", zipped(home / "evil.bin", payload), marker
    for name, (payload, _) in tests.BOMBS.items():
        yield f"bomb: {name}", zipped(home / "evil.bin", payload), marker
    stored = parameters(tests.test_a_persistent_id_that_lies_is_refused)
    for number, (lie, _) in enumerate(stored):
        yield f"storage: {number}", checkpoint(home / "evil.bin", view(lie)), marker
    tensors = parameters(tests.test_a_tensor_that_is_not_in_its_storage_is_refused)
    for number, (lie, _) in enumerate(tensors):
        yield f"tensor: {number}", checkpoint(home / "evil.bin", lie), marker
    yield "none: a sound file", checkpoint(home / "evil.bin", view(Stored())), marker


def attempt(read: Callable[[Path], object], path: Path, reply: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident("VmRSS"), time.process_time()
    try:
        read(path)
        outcome = "a value"
    except Exception as error:  # noqa: BLE001  (whatever a reader raises is the finding)
        outcome = "ValueError in a line" if type(error) is ValueError and str(error).isprintable() else "another error"
    seconds, growth = time.process_time() - start, resident("VmHWM") - before
    reply.send(outcome + " after a second" * (seconds > SLOW) + " and 128 MiB" * (growth > LARGE))


def outcome_of(read: Callable[[Path], object], path: Path) -> str:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=attempt, args=(read, path, theirs))
    child.start()
    theirs.close()
    try:
        return str(ours.recv())
    except EOFError:
        child.join()
        return f"ended by signal {-(child.exitcode or 0)}"
    finally:
        child.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        for name, read in READERS.items():
            found: dict[str, Counter[str]] = {}
            for case, path, marker in cases(Path(home)):
                outcome = outcome_of(read, path)
                if marker.exists():
                    os.rmdir(marker)
                    outcome = "the code of the file was run"
                found.setdefault(case.partition(":")[0], Counter())[outcome] += 1
            print(name)
            for kind, outcomes in found.items():
                print(f"  {kind:8} " + "; ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))


if __name__ == "__main__":
    main()
