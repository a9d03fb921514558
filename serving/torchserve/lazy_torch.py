"""Lets TorchServe's worker start without torch, which it imports for a single `isinstance`.

Copied into a folder of its own as `sitecustomize.py`, which Python runs first in every worker. It
asks whether a reply is a tensor only if it is neither bytes nor text; ours is bytes, so a worker
whose variant runs on another runtime never needs torch: 1.4 processor seconds a start, and most of
its memory. Whoever else imports torch gets torch, as ever. Nothing of the project may be imported
here.
"""

import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

_WORKER = "model_service_worker.py"
_USER = "ts.protocol.otf_message_handler"


class _Torch(ModuleType):
    """What TorchServe holds as torch: torch itself as soon as it is asked for anything."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("torch"), name)


if any(argument.endswith(_WORKER) for argument in sys.orig_argv) and "torch" not in sys.modules:
    sys.modules["torch"] = _Torch("torch")
    try:
        with suppress(ImportError):  # the worker meets it itself, and says so
            importlib.import_module(_USER)
    finally:
        del sys.modules["torch"]
