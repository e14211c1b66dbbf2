"""`python -m remdm_tui`, which is how launchers start it."""

from remdm_tui.cli import main

if __name__ == "__main__":
    main()
