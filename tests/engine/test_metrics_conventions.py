"""Conventions say everything that they decide."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from engine.metrics.conventions import CONVENTIONS, SENTENCES, Conventions, conventions
from tests.engine.test_imports import HEAVY, SCREEN, loaded


def test_every_decision_has_a_sentence() -> None:
    decided = {field.name for field in fields(Conventions)} - {"name"}
    assert set(SENTENCES) == decided
    for name in CONVENTIONS:
        described = conventions(name).decisions
        assert decided < set(described)
        for sentence in described.values():
            assert sentence[0].isupper()
            assert sentence.endswith(".")


def test_decisions_that_differ_read_differently() -> None:
    one, other = (conventions(name) for name in ("reference", "standard"))
    for field in fields(Conventions):
        if field.name != "name":
            same = getattr(one, field.name) == getattr(other, field.name)
            assert (one.decisions[field.name] == other.decisions[field.name]) is same, field.name


def test_a_convention_is_found_by_its_own_name() -> None:
    assert {name: found.name for name, found in CONVENTIONS.items()} == {n: n for n in CONVENTIONS}
    with pytest.raises(ValueError, match="unknown conventions 'usual': choose reference, standard"):
        conventions("usual")


def test_what_a_command_lists_and_a_report_computes_loads_nothing_heavy() -> None:
    names = ("metrics.conventions", "metrics.bootstrap", "metrics.entropy", "metrics.diversity", "data.catalogue")
    modules = loaded(f"import {', '.join(f'engine.{name}' for name in names)}")
    assert not modules & {*HEAVY, *SCREEN}


@pytest.mark.parametrize("likelihood", [True, False])
def test_a_digest_is_that_of_the_decisions_that_figures_depend_on(likelihood: bool) -> None:
    chosen = conventions("reference")
    other = {True: replace(chosen, times=2), False: replace(chosen, padding_end=False)}
    assert other[likelihood].digest(likelihood) != chosen.digest(likelihood)
    assert other[not likelihood].digest(likelihood) == chosen.digest(likelihood)
