"""Workers start without torch, and have it as soon as they use it."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import serving.torchserve
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="8.0")
# Never imported: it would act on this very process.
PROGRAM = Path(serving.torchserve.__file__).with_name("lazy_torch.py")


def run(folder: Path, script: str) -> str:
    """Run a script in a Python that runs the module first, as workers do; returns its output."""
    shutil.copyfile(PROGRAM, folder / "sitecustomize.py")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "use",
    [
        "import torch; print(torch.ones(2).sum().item())",
        "from torch import ones; print(ones(2).sum().item())",
        "import torch.nn.functional as f; import torch; print(f.relu(torch.ones(2)).sum().item())",
        # Who asked before anybody used it holds a name for it that goes on to work.
        "import torch as early; import torch.jit; print(early.ones(2).sum().item())",
    ],
)
def test_whoever_uses_torch_has_it(tmp_path: Path, use: str) -> None:
    assert run(tmp_path, use) == "2.0"


def test_torchserve_s_worker_does_not_use_it(tmp_path: Path) -> None:
    script = """
import importlib.util, inspect, sys
import ts.model_service_worker
from ts.protocol import otf_message_handler
inspect.getmodule(otf_message_handler.retrieve_msg)  # looks at every module that there is
print(importlib.util.find_spec("torch").name, "torch._C" in sys.modules)
print(isinstance(b"", otf_message_handler.torch.Tensor), "torch._C" in sys.modules)
"""
    assert run(tmp_path, script).splitlines() == ["torch False", "False True"]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_worker_of_another_runtime_answers_without_it(
    backend: Any, archives: Any, image: bytes
) -> None:
    folder = backend.server.config.archives
    archive = await asyncio.to_thread(archives.build, folder, KEY.model, KEY.version)
    await backend.management.register(KEY, archive.name, workers=1, batch_size=1)
    try:
        await backend.inference.predict(KEY, image, timeout_s=60)
        below = psutil.Process(backend.server.pid).children(recursive=True)
        (worker,) = [one for one in below if "model_service_worker" in " ".join(one.cmdline())]
        mapped = {Path(one.path).name for one in worker.memory_maps()}
    finally:
        await backend.management.unregister(KEY)
        archive.unlink()

    assert any("onnxruntime" in name for name in mapped)
    assert not [name for name in mapped if "torch" in name]
