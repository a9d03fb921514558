"""Every random state that a training draws from, as plain values and tensors."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def read_random_states() -> dict[str, Any]:
    """Return the states of Python, NumPy and torch (the CPU's and the current GPU's)."""
    version, words, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # ultralytics' own
    return {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {
            "kind": str(kind),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "place": int(place),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def put_back_random_states(states: dict[str, Any]) -> None:
    """Make every generator go on from the states that `read_random_states` returned."""
    python, numpy = states["python"], states["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state(  # noqa: NPY002  # ultralytics' augmentations draw from this one
        (numpy["kind"], keys, numpy["place"], numpy["has_gauss"], numpy["cached"])
    )
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """Put every random state back when the block ends."""
    states = read_random_states()
    try:
        yield
    finally:
        put_back_random_states(states)
