"""The program, whose second process is killed at its sixth write to a file."""

from __future__ import annotations

import os

from remdm_tui.cli import main
from tests.dying import die_at

if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        die_at(6)
    main()
