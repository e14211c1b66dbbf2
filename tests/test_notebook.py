"""The notebook of the documents runs from top to bottom and shows what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs/remdm_loop.ipynb"


def executed() -> list[dict[str, Any]]:
    """Return the code cells with what they put out; an exception in one is raised."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(cell: dict[str, Any]) -> str:
    return "".join(part["text"] for part in cell["outputs"] if part["output_type"] == "stream")


def pages(cell: dict[str, Any]) -> int:
    return sum(part.get("data", {}).get("text/html", "").count("<iframe srcdoc=") for part in cell["outputs"])


# half a minute of two cores, which a loaded machine may stretch to ten times as much
@pytest.mark.timeout(1200)
def test_the_notebook_samples_shows_its_runs_and_scores_them() -> None:
    model, strategy, samples, one, two, scores = executed()
    assert model["outputs"] == strategy["outputs"] == []
    assert len(text(samples).split()) > 30
    assert (pages(one), pages(two)) == (1, 2)
    assert [line.split(maxsplit=3)[:3] for line in text(scores).splitlines()] == [
        ["mdlm", "gen", "PPL"],
        ["my-loop", "gen", "PPL"],
    ]


def test_the_notebook_is_kept_as_it_ran() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert not any(part["output_type"] == "error" for cell in cells for part in cell["outputs"])
