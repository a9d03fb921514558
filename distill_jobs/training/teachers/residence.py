"""Where a teacher's weights lie between two steps: on the training's device, or at home.

A small GPU has room for the student, its gradients and its optimizer, but not for a heavy teacher
too. A frozen teacher never changes, so nothing has to travel back: its home copy stays in the
CPU's memory (pinned where there is a GPU), and the device's copy is dropped after use.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol

import torch
from torch import nn

Offload = Literal["none", "whole", "layers"]


class Residence(Protocol):
    """Brings a model to a device for a while."""

    def on(self, device: torch.device) -> AbstractContextManager[None]:
        """Have the model ready on `device` inside the block."""


def residence_of(model: nn.Module, offload: Offload) -> Residence:
    """Choose where a frozen detector lives.

    Args:
        model: ultralytics' detector; its layers are `model.model`. It is moved to the CPU unless
            `offload` is "none".
        offload: "none" keeps it on the device; "whole" brings all of it for each step; "layers"
            brings one layer at a time, and the head for the whole step.

    Returns:
        Its residence, which alone may move it from now on.
    """
    if offload == "none":
        return _Settled(model)
    return _Whole(model) if offload == "whole" else _LayerByLayer(model)


class _Settled:
    """Moves to the device once and stays."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        parameter = next(self._model.parameters(), None)
        if parameter is not None and parameter.device != device:
            self._model.to(device)
        yield


class _Whole:
    """Comes as a whole and leaves as a whole."""

    def __init__(self, model: nn.Module) -> None:
        model.cpu()
        self._model = model
        self._luggage = _Luggage(model)

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        _bring_strides(self._model, device)
        self._luggage.bring(device)
        try:
            yield
        finally:
            self._luggage.drop()


class _LayerByLayer:
    """Brings a layer just before it runs and drops it just after."""

    def __init__(self, model: nn.Module) -> None:
        model.cpu()
        self._model = model
        self._device = torch.device("cpu")
        *layers, head = _layers(model)
        # Whoever reads the head's answer asks its strides and its DFL layer too: it stays longer.
        self._head = _Luggage(head)
        for layer in layers:
            self._attach(layer, _Luggage(layer))

    def _attach(self, layer: nn.Module, luggage: "_Luggage") -> None:
        layer.register_forward_pre_hook(lambda *_: luggage.bring(self._device))
        layer.register_forward_hook(lambda *_: luggage.drop(), always_call=True)

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        self._device = device
        _bring_strides(self._model, device)
        self._head.bring(device)
        try:
            yield
        finally:
            self._head.drop()


class _Luggage:
    """The tensors of a module and their home copies on the CPU."""

    def __init__(self, module: nn.Module) -> None:
        tensors = [*module.parameters(), *module.buffers()]
        pin = torch.cuda.is_available()
        self._homes = [(t, t.data.pin_memory() if pin else t.data) for t in tensors]
        self.drop()

    def bring(self, device: torch.device) -> None:
        for tensor, home in self._homes:
            tensor.data = home.to(device, non_blocking=True, copy=True)

    def drop(self) -> None:
        # Safe while kernels still read it: the allocator reuses the memory in the stream's order.
        for tensor, home in self._homes:
            tensor.data = home


def _layers(model: Any) -> list[nn.Module]:
    return list(model.model)


def _bring_strides(model: nn.Module, device: torch.device) -> None:
    """Bring what the head keeps outside its parameters: a few numbers, which then stay."""
    head = _layers(model)[-1]
    for name in ("stride", "anchors", "strides", "valid_mask"):
        value = getattr(head, name, None)
        if isinstance(value, torch.Tensor) and value.device != device:
            setattr(head, name, value.to(device))
