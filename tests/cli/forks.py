"""Starts the command given in each line of its input as a process of its own, torch being loaded already.

What it writes are two lines for each: the process's number at once, its exit status at its end (minus the signal).
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    import torch

    torch.set_num_threads(1)
    import transformers.models.gpt2  # noqa: F401

    from remdm_tui.cli import app

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                app(json.loads(line), standalone_mode=False)
            except BaseException as error:  # noqa: BLE001
                print(error, file=sys.stderr)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
