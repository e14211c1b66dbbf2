"""Two sessions of one person: the second begins as the first one ended, with that person's keys."""

from __future__ import annotations

SMALL = ["watch", "--steps", "8", "--length", "16", "--paused"]


def test_the_next_session_begins_as_this_one_ends(terminal, tmp_path):
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "config" / "remdm-tui").mkdir(parents=True)
    (tmp_path / "config" / "remdm-tui" / "config.toml").write_text('[keys]\nstrategy-next = "f8,Q"\nplai = "x"\n')
    for began, ended, first in (("remdm-cap", "remdm-rescale", True), ("remdm-rescale", "remdm-conf", False)):
        person = terminal(*SMALL, **home)
        person.wait(lambda s, began=began: "paused 0/8" in s and began in s.splitlines()[0])
        person.wait(lambda s: "no key has the id 'plai': perhaps play" in s)
        person.wait(lambda s, first=first: ("first steps 1/6:  space" in s) == first)
        person.press("Q")
        person.wait(lambda s, ended=ended: ended in s.splitlines()[0])
        if first:
            person.press("\x1b")
            person.wait(lambda s: "plai" not in s)
            person.press("\x1b")
            person.wait(lambda s: "first steps 1/6" not in s)
        person.press("q")
        assert person.exit_code() == 0
        assert person.restored()
