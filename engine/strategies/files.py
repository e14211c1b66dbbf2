"""Strategies from a person's own file, loaded again when it changes, and from packages that offer some."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from os import PathLike, stat_result
from pathlib import Path
from types import ModuleType

from engine.files.regular import regular_file
from engine.strategies.base import Strategy
from engine.strategies.validation import StrategyError, strategy_error, validate_class
from engine.system.foreign import Interrupted, distinguish_interrupts
from engine.text.lines import lines_of

GROUP = "remdm_tui.strategies"
"""Entry points of this group name a strategy's class."""
LARGEST = 1 << 20
"""bytes of a file"""


def load_file(path: str | PathLike[str], taken: Collection[str] = ()) -> type[Strategy]:
    """Return the strategy that a Python file defines, as a class; the file is run.

    taken: names it may not have.  Raises StrategyError that says what is wrong and what would be valid, with the
    file's own part of a traceback.
    """
    return from_source(_read(Path(path)), str(path), taken)


def from_source(source: bytes, path: str, taken: Collection[str] = ()) -> type[Strategy]:
    """Return the strategy in a file's contents; `path` is where they are from."""
    module = ModuleType(f"remdm_tui_strategy_{hashlib.sha256(source).hexdigest()[:16]}")
    module.__file__ = path
    # a traceback quotes the lines that were run, whatever the file holds by then
    quoted = [f"{line}\n" for line in lines_of(source.decode("utf-8", "replace"))]
    linecache.cache[path] = (len(source), None, quoted, path)
    # dataclasses look their module up
    sys.modules[module.__name__] = module
    try:
        with distinguish_interrupts():
            exec(compile(source, path, "exec", dont_inherit=True), vars(module))
            # a class's own attributes may run code too where they are looked at
            return validate_class(_only(module, path), Path(path).stem.lower().replace("_", "-"), path, taken)
    except (Interrupted, StrategyError):
        raise
    except BaseException as error:
        del sys.modules[module.__name__]
        raise strategy_error(error, path) from error


def _only(module: ModuleType, path: str) -> type[Strategy]:
    """Return the one class of a module that is a strategy; names that begin with _ are helpers."""
    found = [
        kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, Strategy)
        and kind.__module__ == module.__name__
        and name[0] != "_"
    ]
    kinds = list(dict.fromkeys(found))
    if not kinds:
        raise StrategyError(
            f"{path} defines no strategy: write one frozen dataclass that inherits engine.strategies.Strategy"
        )
    if len(kinds) > 1:
        names = " and ".join(kind.__name__ for kind in kinds)
        raise StrategyError(f"{path} defines {names}: leave one, or let the others' names begin with _")
    return kinds[0]


def _read(path: Path) -> bytes:
    try:
        source = regular_file(path).read_bytes()
    except OSError as error:
        raise StrategyError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise StrategyError(str(error)) from None
    if len(source) > LARGEST:
        raise StrategyError(f"{path} has {len(source)} bytes, more than a strategy's {LARGEST}")
    return source


class StrategyFile:
    """A file and the strategy that it defined last."""

    def __init__(self, path: str | PathLike[str], taken: Collection[str] = ()) -> None:
        """Load the file.  Raises StrategyError as `load` does."""
        self.path, self._taken = Path(path), taken
        self._stamp, source = self._stat(), _read(self.path)
        self.digest = hashlib.sha256(source).hexdigest()
        self.kind = from_source(source, str(path), taken)

    def poll(self) -> bool:
        """Return whether the file has changed and defines another strategy now, which is `kind`.

        Raises StrategyError, once for each content, where it defines none; then `kind` stays what it was.
        """
        stamp = self._stat()
        # an editor may take the file away for a moment while it saves
        if stamp is None or stamp == self._stamp:
            return False
        self._stamp, source = stamp, _read(self.path)
        digest = hashlib.sha256(source).hexdigest()
        if digest == self.digest:
            return False
        self.digest = digest
        self.kind = from_source(source, str(self.path), self._taken)
        return True

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            now: stat_result = self.path.stat()
        except OSError:
            return None
        return now.st_mtime_ns, now.st_size, now.st_ino


@dataclass(frozen=True)
class Installed:
    """Strategies of other packages by name, and an error message for each that cannot be used."""

    kinds: Mapping[str, type[Strategy]]
    problems: tuple[str, ...] = ()


def installed(taken: Collection[str] = ()) -> Installed:
    """Return what the packages here offer under the entry-point group `remdm_tui.strategies`."""
    # its imports take longer than all of ours
    from importlib.metadata import entry_points

    kinds: dict[str, type[Strategy]] = {}
    problems: list[str] = []
    for point in entry_points(group=GROUP):
        try:
            # a class's own attributes may run code too where they are looked at
            with distinguish_interrupts():
                kind = point.load()
                if not (isinstance(kind, type) and issubclass(kind, Strategy)):
                    raise StrategyError("it is not a class that inherits engine.strategies.Strategy")
                path = getattr(sys.modules.get(kind.__module__), "__file__", None) or point.value
                made = validate_class(kind, point.name, path, {*taken, *kinds})
                kinds[made.name] = made
        except Interrupted:
            raise
        except BaseException as error:  # noqa: BLE001  (somebody's code)
            problems.append(f"the strategy {point.value} of an installed package cannot be used: {error}")
    return Installed(kinds, tuple(problems))


def belongs_with(name: str) -> Callable[[str], bool]:
    """Return a test for top-level modules: of the same distribution as this module, or of none, as in a checkout."""
    from importlib.metadata import packages_distributions

    top = name.partition(".")[0]
    owners = packages_distributions()
    ours = set(owners.get(top, ()))
    return lambda other: other == top or not owners.get(other) or bool(ours & set(owners[other]))
