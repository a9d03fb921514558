"""Lets a worker start without torch: it is imported when somebody first uses it.

Copied into a folder of its own as `sitecustomize.py`, which Python runs at the start of every
worker. TorchServe's worker imports torch to see whether a reply is a tensor; ours never is, so a
worker whose variant runs on another runtime never needs it: 1.5 to 2 processor seconds a start, and
most of its memory. Nothing of the project may be imported here.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

# What asks for it asks of a package or a version, and not in passing of whatever module there is.
_TELLING = frozenset({"__path__", "__version__"})


class _Torch(ModuleType):
    """Stands for torch until it is used; whoever has kept it still gets torch's own names."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _TELLING:
            raise AttributeError(name)
        if sys.modules.get("torch") is self:
            del sys.modules["torch"]
        return getattr(importlib.import_module("torch"), name)


_spec = importlib.util.find_spec("torch")
if _spec is not None:
    _torch = _Torch("torch")
    _torch.__spec__ = _spec
    sys.modules["torch"] = _torch
