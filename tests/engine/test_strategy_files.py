"""A strategy out of a person's own file: loaded, looked at in every step, loaded anew, and told when it is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import strategies
from engine.debug.laws import Claims, Standing, check
from engine.session import Session
from engine.strategies import REGISTRY, describe
from engine.strategies.checked import StrategyError
from engine.strategies.files import StrategyFile, installed, load
from remdm_tui.commands import new_strategy
from tests.engine.test_session import frames_of, same
from tests.engine.toys import Toy

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
    kind = load(written(tmp_path, HEAD + PLAN))
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
    info = describe(load(written(tmp_path, source, "My_rule.py")))
    assert (info.name, info.summary, info.reads) == ("my-rule", "Remask a share.", "time")
    assert [knob.name for knob in info.knobs] == ["eta"]
    inherited = HEAD.replace("(Strategy)", "(RemdmCap)").replace(
        "from eng", "from engine.strategies.remdm_cap import RemdmCap\nfrom eng"
    )
    own = load(written(tmp_path, inherited + "    def sigma(self, view):\n        return view.sigma_max\n", "own.py"))
    assert own.name == "own"


def test_annotations_and_helpers_are_no_obstacle(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        + HEAD.replace("@dataclass", "class _Help(Strategy): pass\n\n@dataclass")
        + PLAN
    )
    assert load(written(tmp_path, source)).name == "mine"


SECOND = HEAD[HEAD.index("@dataclass") :].replace("Mine", "Other")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\n", "defines no strategy: write one frozen dataclass that inherits engine.strategies.Strategy"),
        (HEAD + PLAN + SECOND + PLAN, "defines Mine and Other: leave one"),
        (HEAD, "Mine has no plan: write plan(self, view)"),
        ((HEAD + PLAN).replace("(frozen=True)", ""), "cannot inherit non-frozen dataclass from a frozen one"),
        ((HEAD + PLAN).replace("@dataclass(frozen=True)", ""), "Mine is no frozen dataclass"),
        ((HEAD + PLAN).replace("def plan(self, view):", "def plan(self view):"), "SyntaxError: invalid syntax"),
        ("import nosuchmodule\n" + HEAD + PLAN, "line 1: ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        ((HEAD + PLAN).replace("    eta", '    name = "mdlm"\n    eta'), "there is a strategy mdlm already"),
        ((HEAD + PLAN).replace("    eta", '    name = "my rule"\n    eta'), "'my rule' is no name for a strategy"),
        ((HEAD + PLAN).replace("    eta", '    reads = "tea"\n    eta'), "reads of Mine must be one of time, held"),
        (
            (HEAD + PLAN).replace("eta: float = knob(0.3, ", "eta: float = knob(3.0, "),
            "eta must lie in 0 to 1, not 3.0",
        ),
        ((HEAD + PLAN).replace('knob(0.3, "share", 0, 1)', "(1, 2)"), "the knob eta of Mine needs a number"),
        ("\x00", "null bytes"),
    ],
)
def test_a_file_that_is_no_strategy_is_refused_with_what_would_be_one(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(StrategyError, match=re.escape(reason)) as refused:
        load(written(tmp_path, source), REGISTRY)
    assert "\n" not in str(refused.value)
    assert "engine/strategies" not in refused.value.detail


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="No such file"):
        load(tmp_path / "none.py")
    with pytest.raises(StrategyError, match="more than a strategy's"):
        load(written(tmp_path, "#" * (2 << 20)))


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
def test_a_plan_that_is_none_is_told_and_the_session_stays_where_it_was(tmp_path: Path, body: str, reason: str) -> None:
    good = Session(Toy(), strategies.make_strategy("remdm-cap"), steps=12, length=10, batch=2)
    session = Session(Toy(), strategies.make_strategy("remdm-cap"), steps=12, length=10, batch=2)
    frames_of(session, 4)
    kind = load(written(tmp_path, HEAD + f"    def plan(self, view):\n        {body}\n"))
    session.set(strategy=kind())
    for _ in range(2):
        with pytest.raises(StrategyError, match=re.escape(reason)) as told:
            next(session)
    assert "\n" not in str(told.value)
    assert session.index == 4
    session.set(strategy=strategies.make_strategy("remdm-cap"))
    assert all(same(a, b) for a, b in zip([*session.frames, *session], good, strict=True))


def test_a_traceback_shows_the_files_own_lines_alone(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "    def plan(self, view):\n        return view.masked.frobnicate()\n")
    with pytest.raises(StrategyError) as told:
        next(Session(Toy(), load(path)()))
    assert told.value.detail.splitlines()[:3] == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 9, in plan',
        "    return view.masked.frobnicate()",
    ]
    assert told.value.detail.count("File ") == 1


def test_a_wrong_clock_and_wrong_times_are_told(tmp_path: Path) -> None:
    clock = "    def alpha(self, t):\n        return 3 - t\n"
    with pytest.raises(StrategyError, match="alpha must lie in 0 to 1, not at 2"):
        next(Session(Toy(), load(written(tmp_path, HEAD + PLAN + clock))()))
    grid = "    def grid(self, steps):\n        return [1, 0]\n"
    with pytest.raises(StrategyError, match="grid must return a float64 array of times that descend"):
        next(Session(Toy(), load(written(tmp_path, HEAD + PLAN + grid))()))


def test_a_plan_cannot_write_into_the_session(tmp_path: Path) -> None:
    spoiling = (
        "    def plan(self, view):\n        view.held.fill_(0.5)\n        return posterior(view, view.sigma_max)\n"
    )
    frames = list(Session(Toy(), load(written(tmp_path, HEAD + spoiling))(), steps=8, length=10))
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


def test_a_file_that_was_broken_is_told_once_and_the_strategy_stays(tmp_path: Path) -> None:
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
    kind = load(path, REGISTRY)
    assert kind.name == "my-first-sampler"
    assert [knob.name for knob in describe(kind).knobs] == ["eta", "fade"]
    session = Session(Toy(), kind(), steps=20, length=24, batch=24)
    standing = Standing()
    for frame in session:
        standing, broken = check(frame, Claims(kind.preserves_marginal, kind.reads), standing, session.blocks.edges)
        assert broken == ()
    assert frame.index == 19
    path.write_text("mine")
    with pytest.raises(ValueError, match="is there already: choose another name"):
        new_strategy.run(path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["mdlm.py", "none.py", "plan.py", "x1.py", "a b.py"])
def test_the_template_loads_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    new_strategy.run(tmp_path / name)
    assert load(tmp_path / name, REGISTRY)().plan


@pytest.mark.parametrize(
    ("name", "reason"), [("mine", "is a Python file: .*mine.py"), ("3.py", "gives no name"), ('".py', "gives no name")]
)
def test_a_template_under_an_impossible_name_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        new_strategy.run(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


PACKAGE = {"good": HEAD + PLAN, "bad": "1 / 0\n", "other": "Mine = 3\n", "mdlm": (HEAD + PLAN)}


def test_packages_add_strategies_and_broken_ones_are_told(tmp_path: Path) -> None:
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
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True,
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
    assert strategies.known() == REGISTRY
