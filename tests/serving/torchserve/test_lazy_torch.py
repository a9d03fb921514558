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


def run(folder: Path, script: str, name: str = "model_service_worker.py") -> list[str]:
    """Run a script in a Python that runs the program first, as workers do; returns its lines."""
    shutil.copyfile(PROGRAM, folder / "sitecustomize.py")
    (folder / name).write_text(script)
    done = subprocess.run(
        [sys.executable, folder / name],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_torchserve_s_worker_does_not_use_it_until_a_reply_is_a_tensor(tmp_path: Path) -> None:
    script = """
import sys
import ts.model_service_worker
from ts.protocol import otf_message_handler
print("torch" in sys.modules)
print(isinstance(b"", otf_message_handler.torch.Tensor), "torch._C" in sys.modules)
import torch
print(isinstance(torch.ones(1), otf_message_handler.torch.Tensor))
"""
    assert run(tmp_path, script) == ["False", "False True", "True"]


def test_whoever_imports_torch_has_torch_itself(tmp_path: Path) -> None:
    script = """
import torch.nn as nn
import torch, sys
print(torch is sys.modules["torch"], torch.nn is nn, torch.ones(2).sum().item())
"""
    assert run(tmp_path, script) == ["True True 2.0"]


def test_other_programs_of_a_worker_do_not_load_torchserve(tmp_path: Path) -> None:
    script = "import sys; print([name for name in sys.modules if name.split('.')[0] == 'ts'])"

    assert run(tmp_path, script, "trial.py") == ["[]"]


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
