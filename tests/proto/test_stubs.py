"""The committed stubs are what the contract generates: `make proto` brings them up to date."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CONTRACTS = sorted((REPOSITORY / "proto").rglob("*.proto"))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda path: path.name)
def test_the_stubs_are_those_of_the_contract(contract: Path, tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    source = str(contract.relative_to(REPOSITORY))

    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, source],
        cwd=REPOSITORY,
        check=True,
    )

    generated = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.py*")}
    assert len(generated) >= 2
    committed = {path: (REPOSITORY / path).read_text() for path in generated if is_kept(path)}
    assert committed == {path: text for path, text in generated.items() if is_kept(path)}


def is_kept(path: Path) -> bool:
    """Whether it is committed: a contract without a service has nothing in its gRPC stub."""
    return path.name != "card_pb2_grpc.py"
