"""The notebook under docs/ runs from its first cell to its last, and is committed as it ran."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from distill_jobs.environment import PROJECT_ROOT

NOTEBOOK = PROJECT_ROOT / "docs/distillation.ipynb"
_MOST_BYTES = 500_000


def pictures(notebook) -> int:
    return sum(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


@pytest.mark.slow
# Jupyter's client leaves sockets and event loops to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs_in_an_empty_home(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()

    assert pictures(notebook) == 5
    assert not list(tmp_path.glob("understudy-notebook-*")), "it leaves nothing behind"


def test_the_committed_outputs_are_whole_small_and_without_local_paths():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert pictures(notebook) == 5
    assert not any(out.output_type == "error" for cell in code for out in cell.outputs)
    assert NOTEBOOK.stat().st_size < _MOST_BYTES
    outputs = str([cell.outputs for cell in code])
    assert f"{Path.home()}/" not in outputs
    assert str(PROJECT_ROOT) not in outputs
