"""`python -I -S stand_in.py ADDRESS REQUEST WORDS...`: have a fork do the work of this process.

For programs that start processes by themselves.  The fork gets the words, the environment, the streams and the signals
of this process, dies with it, and this process ends as the fork does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys

PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    address, request, *words = sys.argv[1:]
    # a signal waits until there is a fork to pass it on to
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED)
    whole = {**json.loads(request), "words": words, "cwd": os.getcwd(), "env": dict(os.environ)}
    status, reports = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect(address)
        socket.send_fds(line, [json.dumps(whole).encode()], [0, 1, 2, reports])
    for fd in (0, 1, 2, reports):
        os.close(fd)
    with os.fdopen(status, "rb", buffering=0) as answers:
        child = int(answers.readline())
        # a signal that comes just before a read would wait for its end: it is read itself, as a byte
        signals, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written)
        for number in PASSED:
            signal.signal(number, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED)
        while answers not in (ready := select.select([signals, answers], [], [])[0]):
            assert ready == [signals]
            for number in os.read(signals, 64):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, number)
        ended = int(answers.readline())
    if ended < 0:
        if -ended in PASSED:
            signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    os._exit(ended)


if __name__ == "__main__":
    main()
