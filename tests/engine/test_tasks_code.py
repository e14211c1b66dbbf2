"""Tasks that run what a model has written: in another process, with limits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.tasks.code import CodeLimits, CodeRunner, run_elsewhere
from tests.engine import task_files
from tests.waiting import eventually, gone

pytest.importorskip("lm_eval", reason="the extra tasks is not installed")

CHECK = """
def check(doc, results):
    scope = {}
    exec(results[0], scope)
    return {"right": float(scope["answer"] == doc["answer"])}
"""
LIMITS = CodeLimits(seconds=3.0, memory=1 << 28, file=1 << 20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task that runs its answers."""
    home = tmp_path_factory.mktemp("code")
    found = task_files.vowels(home, "runs", count=2, unsafe_code=True)
    found.write_text(found.read_text() + "process_results: !function mine.check\n")
    (home / "mine.py").write_text(CHECK)
    return found


@pytest.fixture(scope="module")
def runner(path: Path) -> Iterator[CodeRunner]:
    found = CodeRunner([str(path)], "runs", trusted=True, limits=LIMITS)
    yield found
    found.close()


def right(runner: CodeRunner, code: str, answer: object = True) -> bool | None:
    """Whether the code gives `answer` that value; None if it did not come to an end."""
    found = runner.metrics({"answer": answer}, [code])
    return None if found is None else found["right"] == 1


def test_an_answer_is_run_and_judged(runner: CodeRunner) -> None:
    assert right(runner, "answer = sum([1, 2])", 3)
    assert right(runner, "answer = 4", 3) is False


@pytest.mark.parametrize(
    "code",
    [
        "def", "import os; os._exit(3)", "import sys; sys.exit()", "answer = bytearray(1 << 30)",
        "open('big', 'wb').write(bytes(1 << 22)); answer = True", "while True: pass",
        "import time; time.sleep(60)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    ],
)  # fmt: skip
def test_what_fails_or_takes_too_much_is_no_answer_and_the_next_one_is_judged(runner: CodeRunner, code: str) -> None:
    begun = time.monotonic()
    assert right(runner, code) is None
    assert time.monotonic() - begun < 30
    assert right(runner, "answer = True")


def test_code_has_a_directory_of_its_own_and_no_environment(runner: CodeRunner) -> None:
    assert right(runner, "import os; answer = sorted(os.environ)", ["HF_ALLOW_CODE_EVAL", "HOME", "PATH", "TMPDIR"])
    assert right(runner, "import os; answer = os.listdir()", [])
    assert right(runner, "open('left', 'w').write('x'); import os; answer = os.listdir()", ["left"])
    assert right(runner, "import os; answer = os.listdir()", [])  # that of another answer
    assert right(runner, "import os; answer = os.getcwd() == os.environ['HOME']")
    assert not (Path.cwd() / "left").exists()


def test_a_secret_of_this_process_is_not_in_that_of_the_code(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    other = CodeRunner([str(path)], "runs", trusted=True, limits=LIMITS)
    both = "open('/proc/self/environ', 'rb').read() + open(f'/proc/{os.getppid()}/environ', 'rb').read()"
    code = f"import os; answer = b'secret' in {both}"
    try:
        if Path("/proc/self/environ").exists():
            assert right(other, code, False)
    finally:
        other.close()
    assert os.environ["HF_TOKEN"] == "secret"


def test_code_ends_with_its_judge_and_leaves_no_directory(path: Path, tmp_path: Path) -> None:
    begun, other = tmp_path / "begun", CodeRunner([str(path)], "runs", trusted=True)
    code = f"import os, time; open({str(begun)!r}, 'w').write(f'{{os.getpid()}} {{os.getcwd()}}.'); time.sleep(600)"

    def judge() -> None:
        with pytest.raises(ValueError, match="it has ended"):
            right(other, code)

    thread = threading.Thread(target=judge)
    thread.start()
    try:
        eventually(lambda: begun.exists() and begun.read_text().endswith("."), lambda: "for the code to begin")
    finally:
        other.close()
        thread.join()
    process, home = begun.read_text().removesuffix(".").split()
    assert gone(int(process))
    assert not Path(home).exists()


def test_an_answer_over_the_limits_is_wrong(runner: CodeRunner) -> None:
    class Task:
        process_results = None

        def aggregation(self) -> dict[str, object]:
            return {"right": None, "other": None}

    task = Task()
    run_elsewhere(task, runner)
    assert task.process_results({"answer": 1}, ["def"]) == {"right": 0.0, "other": 0.0}  # type: ignore[misc]


def test_a_task_that_cannot_be_read_there_is_a_sentence(tmp_path: Path) -> None:
    lost = CodeRunner([str(tmp_path / "gone.yaml")], "gone", trusted=True)
    with pytest.raises(ValueError, match=r"gone\.yaml: there is no such file of a task"):
        lost.metrics({}, [""])
