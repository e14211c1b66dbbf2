"""Tests see a terminal and directories without anybody's preferences; set before textual is imported."""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile

for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_DRIVER"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TERM"] = "xterm-256color"
os.environ["COLORTERM"] = "truecolor"
# tests run side by side, one to a core: threads of one that wait for those of another only take its time
os.environ.setdefault("OMP_NUM_THREADS", "1")
# the programs that tests start would compile every module again, as no installed one does, and so would each of the
# processes that share the tests, which also rewrites the assertions of all tests
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# nobody's own keys and settings, and nothing left for them either
HOME = tempfile.mkdtemp(prefix="remdm-tests-")
os.environ["REMDM_TESTS"] = HOME
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in ("CONFIG", "STATE"):
    os.environ[f"XDG_{name}_HOME"] = os.path.join(HOME, name.lower())

# a shell's background job ignores SIGINT and SIGQUIT, nohup SIGHUP, and so would every program that the tests signal
for number, usual in {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}.items():
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, usual)

# what is imported and collected stays: looking for what could go finds nothing
gc.disable()

FIRST = ("test_wheel.py", "test_eval.py")
"""Files whose tests wait for long: started first, they do not delay the end of tests in parallel."""


def pytest_xdist_auto_num_workers():
    """One more than cores: there are always tests that wait for a program to start or a screen to change."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_collection_finish():
    """Have the collector pass over the imports, which live until the end: torch alone is a million objects."""
    gc.freeze()
    # an application is 50,000 objects, which a test is done with at once: looking at all that live, as often as the
    # defaults say, is a quarter of the time that its tests take
    gc.set_threshold(50_000, 10, 5)
    gc.enable()
