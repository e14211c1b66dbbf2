"""A strategy out of a person's own file: loaded, checked in every step, loaded again, and reported when it is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import strategies
from engine.debug.claims import Claims
from engine.debug.laws import LawState, check_laws
from engine.sampling.session import Session
from engine.strategies import REGISTRY, describe
from engine.strategies.files import StrategyFile, belongs_with, installed, load_file
from engine.strategies.sources import sources
from engine.strategies.validation import StrategyError
from engine.system.foreign import Interrupted
from remdm_tui.commands import new_strategy
from tests.engine.test_session import frames_of, same
from tests.engine.toys import Toy
from tests.waiting import PATIENCE

HEAD = """from dataclasses import dataclass
from engine.strategies import Plan, Strategy, View, knob, posterior

@dataclass(frozen=True)
class Mine(Strategy):
    eta: float = knob(0.3, "share", 0, 1)

"""
PLAN = """    def plan(self, view):
        return posterior(view, self.eta * view.sigma_max)
"""


def written(home: Path, source: str, name: str = "mine.py") -> Path:
    path = home / name
    path.write_text(source)
    return path


def test_a_strategy_of_a_file_samples_as_one_of_ours(tmp_path: Path) -> None:
    kind = load_file(written(tmp_path, HEAD + PLAN))
    shape: dict[str, Any] = {"steps": 12, "length": 10, "batch": 2}
    ours = frames_of(Session(Toy(), strategies.make_strategy("remdm-rescale", eta=0.3), **shape))
    theirs = frames_of(Session(Toy(), kind(), **shape))
    assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(ours, theirs, strict=True))
    assert theirs[0].settings.strategy == "mine"


def test_what_a_file_leaves_out_is_filled_in(tmp_path: Path) -> None:
    source = (
        HEAD.replace("class Mine(Strategy):", 'class Mine(Strategy):\n    """Remask a share.\n\n    More.\n    """')
        + PLAN
    )
    info = describe(load_file(written(tmp_path, source, "My_rule.py")))
    assert (info.name, info.summary, info.reads) == ("my-rule", "Remask a share.", ())
    assert [knob.name for knob in info.knobs] == ["eta"]
    inherited = HEAD.replace("(Strategy)", "(RemdmCap)").replace(
        "from eng", "from engine.strategies.remdm_cap import RemdmCap\nfrom eng"
    )
    own = load_file(
        written(tmp_path, inherited + "    def sigma(self, view):\n        return view.sigma_max\n", "own.py")
    )
    assert own.name == "own"


def test_annotations_and_helpers_are_no_obstacle(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        + HEAD.replace("@dataclass", "class _Help(Strategy): pass\n\n@dataclass")
        + PLAN
    )
    assert load_file(written(tmp_path, source)).name == "mine"


SECOND = HEAD[HEAD.index("@dataclass") :].replace("Mine", "Other")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\n", "defines no strategy: write one frozen dataclass that inherits engine.strategies.Strategy"),
        (HEAD + PLAN + SECOND + PLAN, "defines Mine and Other: leave one"),
        (HEAD, "Mine has no plan: write plan(self, view)"),
        ((HEAD + PLAN).replace("(frozen=True)", ""), "cannot inherit non-frozen dataclass from a frozen one"),
        ((HEAD + PLAN).replace("@dataclass(frozen=True)", ""), "Mine is not a frozen dataclass"),
        ((HEAD + PLAN).replace("def plan(self, view):", "def plan(self view):"), "SyntaxError: invalid syntax"),
        ("import nosuchmodule\n" + HEAD + PLAN, "line 1: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        ((HEAD + PLAN).replace("    eta", '    name = "mdlm"\n    eta'), "there is a strategy mdlm already"),
        (
            (HEAD + PLAN).replace("    eta", '    name = "my rule"\n    eta'),
            "'my rule' is not a valid name for a strategy",
        ),
        ((HEAD + PLAN).replace("    eta", '    reads = "tea"\n    eta'), "reads of Mine must be a set of held, masked"),
        (
            (HEAD + PLAN).replace("eta: float = knob(0.3, ", "eta: float = knob(3.0, "),
            "eta must lie in 0 to 1, not 3.0",
        ),
        ((HEAD + PLAN).replace('knob(0.3, "share", 0, 1)', "(1, 2)"), "the knob eta of Mine needs a number"),
        (
            HEAD + PLAN + "    def keeps_quota(self):\n        return 'even'\n",
            "keeps_quota must return one of llada, dream, clock, or an empty text, not 'even'",
        ),
        (
            HEAD + PLAN + "    def uniforms(self):\n        return 0\n",
            "uniforms must return a whole number in 1 to 4096, not 0",
        ),
        (
            (HEAD + PLAN).replace("    eta", "    remask_limit = -1\n    eta"),
            "most_remasks must return a whole number from 0 on, or None, not -1",
        ),
        ("\x00", "null bytes"),
    ],
)
def test_a_file_that_is_no_strategy_is_refused_with_what_would_be_one(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(StrategyError, match=re.escape(reason)) as refused:
        load_file(written(tmp_path, source), REGISTRY)
    assert "\n" not in str(refused.value)
    assert "engine/strategies" not in refused.value.detail


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="No such file"):
        load_file(tmp_path / "none.py")
    with pytest.raises(StrategyError, match="more than a strategy's"):
        load_file(written(tmp_path, "#" * (2 << 20)))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 1 / 0", "line 9: ZeroDivisionError: division by zero"),
        ("return view.helt", "line 9: AttributeError: 'View' object has no attribute 'helt'"),
        ("raise SystemExit", "line 9: SystemExit"),
        ("raise ValueError('one\\ntwo')", "line 9: ValueError: one"),
        ("return None", "plan must return Plan(unmask, remask), not a NoneType"),
        ("return view.masked", "plan must return Plan(unmask, remask), not a Tensor"),
        ("return Plan(0.5, view.alpha_t)", "the plan's unmask must be a tensor that broadcasts to (2, 10)"),
        ("return Plan(view.masked, view.alpha_t)", "the plan's unmask has type torch.bool: make it .double()"),
        ("return Plan(view.alpha_t, view.held[:, :3])",
         "the plan's remask has shape (2, 3), which does not broadcast to (2, 10)"),
        ("return Plan(view.held[None].nan_to_num(), view.alpha_t)", "has shape (1, 2, 10), which does not broadcast"),
        ("return Plan(view.alpha_t, view.held)", "the plan's remask is nan at position "),
        ("return Plan(view.alpha_t / 0, view.alpha_t)", "the plan's unmask is inf at position 0 of sample 0: give 0"),
    ],
)  # fmt: skip
def test_a_plan_that_is_none_is_reported_and_the_session_stays_where_it_was(
    tmp_path: Path, body: str, reason: str
) -> None:
    good = Session(Toy(), strategies.make_strategy("remdm-cap"), steps=12, length=10, batch=2)
    session = Session(Toy(), strategies.make_strategy("remdm-cap"), steps=12, length=10, batch=2)
    frames_of(session, 4)
    kind = load_file(written(tmp_path, HEAD + f"    def plan(self, view):\n        {body}\n"))
    session.set(strategy=kind())
    for _ in range(2):
        with pytest.raises(StrategyError, match=re.escape(reason)) as raised:
            next(session)
    assert "\n" not in str(raised.value)
    assert session.index == 4
    session.set(strategy=strategies.make_strategy("remdm-cap"))
    assert all(same(a, b) for a, b in zip([*session.frames, *session], good, strict=True))


def test_a_traceback_shows_the_files_own_lines_alone(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "    def plan(self, view):\n        return view.masked.frobnicate()\n")
    with pytest.raises(StrategyError) as raised:
        next(Session(Toy(), load_file(path)()))
    assert raised.value.detail.splitlines()[:3] == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 9, in plan',
        "    return view.masked.frobnicate()",
    ]
    assert raised.value.detail.count("File ") == 1


def test_a_wrong_clock_and_wrong_times_are_reported(tmp_path: Path) -> None:
    clock = "    def alpha(self, t):\n        return 3 - t\n"
    with pytest.raises(StrategyError, match="alpha must lie in 0 to 1, not at 2"):
        next(Session(Toy(), load_file(written(tmp_path, HEAD + PLAN + clock))()))
    grid = "    def grid(self, steps):\n        return [1, 0]\n"
    with pytest.raises(StrategyError, match="grid must return a float64 array of times that descend"):
        next(Session(Toy(), load_file(written(tmp_path, HEAD + PLAN + grid))()))


AHEAD = "    reads = frozenset({'masked', 'ahead'})\n" + PLAN
SEEN = "    reads = frozenset({'masked'})\n" + PLAN
TILTED = SEEN.replace("'masked'", "'masked', 'tilted'")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (AHEAD + "    def candidates(self, view):\n        return view.nope\n", "AttributeError: 'View' object has no"),
        (AHEAD + "    def candidates(self, view):\n        return view.held\n", "candidates must return a bool tensor"),
        (SEEN + "    def sees(self, view):\n        return view.t\n", "sees must return None, or a long tensor [B] of"),
        (SEEN + "    def sees(self, view):\n        return view.nope\n", "AttributeError: 'View' object has no"),
        (TILTED + "    def tilt(self, memory, top, top_p):\n        return top\n",
         "tilt must return (long ids, numbers), each of shape (10, K)"),
    ],
)  # fmt: skip
def test_what_a_file_says_of_its_reading_is_checked(tmp_path: Path, body: str, reason: str) -> None:
    kind = load_file(written(tmp_path, HEAD + body))
    with pytest.raises(StrategyError, match=re.escape(reason)):
        next(Session(Toy(), kind(), steps=4, length=10))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (TILTED, "Mine reads tilted: write tilt(self, memory, top, top_p)"),
        (
            PLAN + "    def reading(self):\n        return frozenset({'maskd'})\n",
            "reads of Mine must be a set of held, ",
        ),
    ],
)
def test_a_file_that_reads_what_is_not_there_is_refused(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(StrategyError, match=re.escape(reason)):
        load_file(written(tmp_path, HEAD + body))


def test_a_plan_cannot_write_into_the_session(tmp_path: Path) -> None:
    spoiling = (
        "    def plan(self, view):\n        view.held.fill_(0.5)\n        return posterior(view, view.sigma_max)\n"
    )
    frames = list(Session(Toy(), load_file(written(tmp_path, HEAD + spoiling))(), steps=8, length=10))
    assert len(frames) >= 8
    for frame in frames:
        assert not (frame.held == 0.5).any()


def touched(path: Path, source: str) -> None:
    """Saved so that the time of the change differs, as it does between two savings by hand."""
    path.write_text(source)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_a_file_is_loaded_anew_when_its_content_changes(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    file = StrategyFile(path)
    first = file.kind
    assert not file.poll()
    touched(path, HEAD + PLAN)
    assert not file.poll()
    assert file.kind is first
    touched(path, HEAD.replace("0.3", "0.7") + PLAN)
    assert file.poll()
    assert file.kind().eta == 0.7
    assert first().eta == 0.3


def test_a_file_that_was_broken_is_reported_once_and_the_strategy_stays(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + PLAN)
    file = StrategyFile(path)
    kind = file.kind
    touched(path, HEAD + "    def plan(self, view)\n")
    with pytest.raises(StrategyError, match="SyntaxError"):
        file.poll()
    assert not file.poll()
    assert file.kind is kind
    path.unlink()
    assert not file.poll()
    touched(path, HEAD + PLAN.replace("view.sigma_max", "view.sigma_max * 0.5"))
    assert file.poll()


def test_the_template_loads_keeps_the_laws_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "my_first-sampler.py"
    assert str(path) in new_strategy.run(path)
    kind = load_file(path, REGISTRY)
    assert kind.name == "my-first-sampler"
    assert [knob.name for knob in describe(kind).knobs] == ["eta", "fade"]
    session = Session(Toy(), kind(), steps=20, length=24, batch=24)
    state = LawState()
    for frame in session:
        state, broken = check_laws(frame, Claims(kind.preserves_marginal, kind.reads), state, session.blocks.edges)
        assert broken == ()
    assert frame.index == 19
    path.write_text("mine")
    with pytest.raises(ValueError, match="exists: choose another name"):
        new_strategy.run(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["mdlm.py", "none.py", "plan.py", "x1.py", "a b.py"])
def test_the_template_loads_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    new_strategy.run(tmp_path / name)
    assert load_file(tmp_path / name, REGISTRY)().plan


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mine", "is a Python file: .*mine.py"),
        ("3.py", "is not a name for a strategy"),
        ('".py', "is not a name for a strategy"),
    ],
)
def test_a_template_under_an_impossible_name_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        new_strategy.run(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


PACKAGE = {"good": HEAD + PLAN, "bad": "1 / 0\n", "other": "Mine = 3\n", "mdlm": (HEAD + PLAN)}


META = """class Meta(type(Strategy)):
    @property
    def reads(cls):
        {body}

"""


def unlooked(body: str) -> str:
    """A strategy whose class runs code where its attributes are looked at."""
    head = HEAD.replace("@dataclass", META.format(body=body) + "@dataclass").replace(
        "(Strategy):", "(Strategy, metaclass=Meta):"
    )
    return head + PLAN


def test_a_class_that_raises_where_it_is_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match=r"line \d+: KeyboardInterrupt"):
        load_file(written(tmp_path, unlooked("raise KeyboardInterrupt")))


def test_an_interrupt_while_a_class_is_looked_at_is_the_persons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unlooked("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    written(tmp_path, source, "pack_asking.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("asking", "pack_asking:Mine", "remdm_tui.strategies")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    with pytest.raises(Interrupted):
        load_file(written(tmp_path, source))
    with pytest.raises(Interrupted):
        installed()


def all_are_own(name: str) -> bool:
    return True


def tree(home: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def test_a_strategys_sources_are_its_own_modules_that_it_imports(tmp_path: Path) -> None:
    home = tree(tmp_path, {
        "pack/__init__.py": "from .first import a\n", "pack/first.py": "a = 1\n", "pack/other.py": "b = 2\n",
        "pack/deep/__init__.py": "",
        "pack/deep/mine.py": "from .. import third\nfrom .near import f\nimport torch, beside\n",
        "pack/deep/near.py": "def f():\n    from pack.deep import late as g\n",
        "pack/deep/late.py": "import pack.deep.mine\n",
        "pack/third.py": "not python (\n", "beside.py": "import strange\n", "strange.py": "", "unseen.py": "",
    })  # fmt: skip
    found = sources(home / "pack/deep/mine.py", "pack.deep.mine", lambda name: name != "strange")
    assert [*found] == [
        "beside", "pack", "pack.deep", "pack.deep.late", "pack.deep.mine", "pack.deep.near", "pack.first", "pack.third",
    ]  # fmt: skip
    assert [*sources(home / "pack/__init__.py", "pack", all_are_own)] == ["pack", "pack.first"]
    assert [*sources(home / "strange.py", "strange", all_are_own)] == ["strange"]


def test_another_packages_strategy_is_known_by_all_that_it_imports_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "from pack_helper import scale\n" + HEAD + PLAN, "pack_known.py")
    helper = written(tmp_path, "scale = 1\n", "pack_helper.py")
    other = written(tmp_path, "scale = 1\n", "pack_unused.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("known", "pack_known:Mine", "remdm_tui.strategies")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    monkeypatch.setattr(strategies, "others", installed)
    digests = [strategies.source_digest("known")]
    for path in (other, helper, tmp_path / "pack_known.py"):
        path.write_text(path.read_text() + "\n")
        digests.append(strategies.source_digest("known"))
    assert digests[0] == digests[1]
    assert len({*digests}) == 3
    assert strategies.source_digest("mdlm") is None


def test_modules_of_other_distributions_do_not_belong_to_a_strategy() -> None:
    belongs = belongs_with("numpy")
    assert (belongs("numpy"), belongs("torch"), belongs("nobody_has_this")) == (True, False, True)


def test_packages_add_strategies_and_broken_ones_are_reported(tmp_path: Path) -> None:
    for name, source in PACKAGE.items():
        written(tmp_path, source, f"pack_{name}.py")
    meta = tmp_path / "pack-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n")
    points = "".join(f"{name} = pack_{name}:Mine\n" for name in PACKAGE)
    (meta / "entry_points.txt").write_text(f"[remdm_tui.strategies]\n{points}")
    program = (
        "from engine import strategies; others = strategies.others(); print([*others.kinds]); "
        "print(*others.problems, sep='\\n'); print(strategies.make_strategy('good', eta=.2)); "
        "print([info.name for info in strategies.catalogue()][-1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(engine.__file__).parent.parent)])},
    )  # fmt: skip
    kinds, *problems, made, last = done.stdout.splitlines()
    assert kinds == "['good']"
    assert len(problems) == 3
    assert any("pack_bad:Mine" in line and "division by zero" in line for line in problems)
    assert any("pack_mdlm:Mine" in line and "there is a strategy mdlm already" in line for line in problems)
    assert made == "Mine(eta=0.2)"
    assert last == "good"


def test_without_packages_there_are_ours_alone() -> None:
    assert installed().kinds == {}
    assert strategies.available() == REGISTRY | strategies.SIMPLEX
