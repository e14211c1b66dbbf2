"""Start the command given in each line of the input as a process of its own, with what it imports loaded already.

A line is JSON: `words`, the command's, and `dies`, the write to a file at which it is killed (0: never).  The answer is
its exit status, minus the signal of one that was killed.
"""

from __future__ import annotations

import json
import os
import sys

from tests.dying import die_at


def main() -> None:
    import torch

    torch.set_num_threads(1)
    import mauve.compute_mauve  # noqa: F401
    import transformers.models.gpt2  # noqa: F401

    from remdm_tui.cli import app

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if asked["dies"]:
                die_at(asked["dies"])
            try:
                app(asked["words"], standalone_mode=False)
            except BaseException as error:  # noqa: BLE001
                print(error, file=sys.stderr)
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
