"""The most important channels of a wide detector, copied into a narrow one of the same layers.

Each kind of layer has one rule: it takes the wide layer, the narrow one and which channels of the
wide input the narrow input holds, copies the weights that belong together, and returns which
channels of the wide output the narrow output holds. What a residual addition adds up must hold the
same channels; everything else is chosen freely.

A channel's importance is the L1 norm of its filter with the batch norm folded in (Li et al.,
"Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.1; the batch norm's factor as in Liu
et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from distill_jobs.errors import UnsupportedModel


@dataclass(frozen=True)
class Kept:
    """Which channels of a wide tensor a narrow one holds.

    Attributes:
        channels: int64 [K], in the order in which the narrow tensor holds them.
        of: How many channels the wide tensor has.
    """

    channels: torch.Tensor
    of: int

    @classmethod
    def everything(cls, channels: int) -> "Kept":
        """All channels, in order."""
        return cls(torch.arange(channels), channels)


def narrow_into(wide: nn.Module, narrow: nn.Module) -> None:
    """Copy the most important channels of a detector into one with fewer, or as many.

    What the wide network lacks keeps the weights that the narrow one has: the last class
    convolution where the classes differ, and channels beyond the wide ones.

    Args:
        wide: An ultralytics detection model, trained.
        narrow: One of the same layers with fewer channels or fewer repeats; changed in place.

    Raises:
        UnsupportedModel: A layer is of a kind that has no rule here.
    """
    layers: Any = zip(wide.model, narrow.model, strict=True)  # type: ignore[arg-type]  # Sequential
    image = Kept.everything(3)
    held: list[Kept] = []
    with torch.no_grad():
        for big, small in layers:
            sources = [big.f] if isinstance(big.f, int) else big.f
            inputs = [held[source] if held else image for source in sources]
            held.append(_layer(big, small, inputs))


def _layer(big: Any, small: Any, inputs: Sequence[Kept]) -> Kept:
    kind = type(big).__name__
    if kind == "Concat":
        return _side_by_side(inputs)
    if kind == "Detect":
        return _head(big, small, inputs)
    return _narrow(big, small, inputs[0])


def _narrow(big: Any, small: Any, inputs: Kept) -> Kept:
    rule = _RULES.get(type(big).__name__)
    if rule is None:
        known = ", ".join(sorted([*_RULES, "Concat", "Detect"]))
        raise UnsupportedModel(
            f"prune: cannot choose channels of a {type(big).__name__} layer; known are {known}. "
            "Take weights of YOLOv5u, YOLOv8, YOLO11 or YOLO26"
        )
    return rule(big, small, inputs)


def _unchanged(_big: Any, _small: Any, inputs: Kept) -> Kept:
    return inputs


def _convolution(big: Any, small: Any, inputs: Kept, outputs: Kept | None = None) -> Kept:
    """Convolution, batch norm, activation; `outputs` None chooses the most important ones."""
    if big.conv.groups > 1:  # depthwise: each channel is its own
        outputs = inputs
        _copy(big.conv.weight, small.conv.weight, outputs)
    else:
        if outputs is None:
            outputs = _best(_importance(big, inputs), small.conv.out_channels)
        _copy(big.conv.weight, small.conv.weight, outputs, inputs)
    for name in ("weight", "bias", "running_mean", "running_var"):
        _copy(getattr(big.bn, name), getattr(small.bn, name), outputs)
    return outputs


def _plain_convolution(big: Any, small: Any, inputs: Kept) -> Kept:
    """Answer of a head's branch: its channels have meanings, so all are kept or none is copied."""
    outputs = Kept.everything(big.out_channels)
    if big.out_channels == small.out_channels:
        _copy(big.weight, small.weight, outputs, inputs)
        _copy(big.bias, small.bias, outputs)
    return outputs


def _sequence(big: Any, small: Any, inputs: Kept) -> Kept:
    for one_big, one_small in zip(big, small, strict=False):  # a shallow one has fewer
        inputs = _narrow(one_big, one_small, inputs)
    return inputs


def _bottleneck(big: Any, small: Any, inputs: Kept) -> Kept:
    hidden = _convolution(big.cv1, small.cv1, inputs)
    return _convolution(big.cv2, small.cv2, hidden, inputs if small.add else None)


def _split_block(big: Any, small: Any, inputs: Kept) -> Kept:
    """C2f and C3k2: one half goes round the blocks; each block's answer is kept beside the next."""
    round_it, chain = _halves(big, small, inputs)
    parts = [round_it, chain]
    for one_big, one_small in zip(big.m, small.m, strict=False):
        chain = _narrow(one_big, one_small, chain)
        parts.append(chain)
    return _convolution(big.cv2, small.cv2, _side_by_side(parts))


def _attention_block(big: Any, small: Any, inputs: Kept) -> Kept:
    """C2PSA: one half goes round the blocks, of the other only the last answer is kept."""
    round_it, chain = _halves(big, small, inputs)
    chain = _sequence(big.m, small.m, chain)
    return _convolution(big.cv2, small.cv2, _side_by_side((round_it, chain)))


def _halves(big: Any, small: Any, inputs: Kept) -> tuple[Kept, Kept]:
    importance = _importance(big.cv1, inputs)
    first = _best(importance[: big.c], small.c)
    second = _best(importance[big.c :] + _added(big.m, big.c), small.c)
    _convolution(big.cv1, small.cv1, inputs, _side_by_side((first, second)))
    return first, second


def _three_convolutions(big: Any, small: Any, inputs: Kept) -> Kept:
    """C3 and C3k: two ways side by side, the first through the blocks."""
    width = big.cv1.conv.out_channels
    importance = _importance(big.cv1, inputs) + _added(big.m, width)
    chain = _best(importance, small.cv1.conv.out_channels)
    _convolution(big.cv1, small.cv1, inputs, chain)
    chain = _sequence(big.m, small.m, chain)
    round_it = _convolution(big.cv2, small.cv2, inputs)
    return _convolution(big.cv3, small.cv3, _side_by_side((chain, round_it)))


def _pyramid(big: Any, small: Any, inputs: Kept) -> Kept:
    """SPPF: the hidden channels and their pooled copies side by side."""
    hidden = _convolution(big.cv1, small.cv1, inputs)
    copies = 1 + getattr(big, "n", 3)
    outputs = inputs if getattr(big, "add", False) else None
    return _convolution(big.cv2, small.cv2, _side_by_side([hidden] * copies), outputs)


def _attend(big: Any, small: Any, inputs: Kept) -> Kept:
    """PSABlock: attention and two convolutions, each added to what came in."""
    _attention(big.attn, small.attn, inputs)
    hidden = _convolution(big.ffn[0], small.ffn[0], inputs)
    return _convolution(big.ffn[1], small.ffn[1], hidden, inputs)


def _attention(big: Any, small: Any, inputs: Kept) -> None:
    """Keep the same channels of queries and keys, which are multiplied with each other.

    The channels of `qkv` are, head by head: queries, keys, values.
    """
    heads, key, value = big.num_heads, big.key_dim, big.head_dim
    importance = _importance(big.qkv, inputs).view(heads, 2 * key + value)
    keys = importance[:, :key] + importance[:, key : 2 * key]
    values = importance[:, 2 * key :]
    key_head, key_place = _best_in_heads(keys, small.num_heads, small.key_dim)
    value_head, value_place = _best_in_heads(values, small.num_heads, small.head_dim)
    key_rows = key_head * importance.shape[1] + key_place
    value_rows = value_head * importance.shape[1] + 2 * key + value_place
    rows = torch.cat((key_rows, key_rows + key, value_rows), dim=1).flatten()
    _convolution(big.qkv, small.qkv, inputs, Kept(rows, importance.numel()))
    answers = Kept((value_head * value + value_place).flatten(), heads * value)
    _convolution(big.pe, small.pe, answers)
    _convolution(big.proj, small.proj, answers, inputs)


def _best_in_heads(
    importance: torch.Tensor, heads: int, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose `size` channels for each head.

    From its own where there are as many heads, from all of them in order where there are fewer.

    Args:
        importance: float [wide heads, channels].
        heads: Of the narrow network.
        size: Channels of each.

    Returns:
        Head and place of each chosen channel in the wide network, int64 [heads, size] each.
    """
    own, width = importance.shape
    if heads == own:
        place = importance.topk(size, dim=1).indices.sort(dim=1).values
        return torch.arange(heads)[:, None].expand_as(place), place
    chosen = _best(importance.flatten(), heads * size).channels.view(heads, size)
    return chosen // width, chosen % width


def _head(big: Any, small: Any, inputs: Sequence[Kept]) -> Kept:
    for name in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        if getattr(big, name, None) is not None:
            levels = zip(getattr(big, name), getattr(small, name), inputs, strict=True)
            for level_big, level_small, level_inputs in levels:
                _sequence(level_big, level_small, level_inputs)
    return Kept.everything(0)


def _importance(layer: Any, inputs: Kept) -> torch.Tensor:
    """Return the L1 norm of each filter over the kept inputs, batch norm folded in; float [C]."""
    weight = layer.conv.weight.float().index_select(1, inputs.channels)
    factor = layer.bn.weight.float().abs() / (layer.bn.running_var.float() + layer.bn.eps).sqrt()
    total: torch.Tensor = weight.abs().sum(dim=(1, 2, 3)) * factor
    return total


def _added(blocks: Any, channels: int) -> torch.Tensor:
    """Return the importance of what blocks add to the channels that pass through them; float [C].

    A block that replaces them ends the tie.
    """
    total = torch.zeros(channels)
    for layer in _adding(blocks):
        total += _importance(layer, Kept.everything(layer.conv.in_channels))
    return total


def _adding(blocks: Any) -> list[Any]:
    found: list[Any] = []
    for block in blocks:
        kind = type(block).__name__
        if kind == "Sequential":
            found += _adding(block)
        elif kind == "PSABlock":
            found += [block.attn.proj, block.ffn[1]]
        elif kind == "Bottleneck" and block.add:
            found.append(block.cv2)
        else:
            break
    return found


def _best(importance: torch.Tensor, count: int) -> Kept:
    """Choose the most important channels; all of them, in order, where there are no more."""
    count = min(count, importance.numel())
    return Kept(importance.topk(count).indices.sort().values, importance.numel())


def _side_by_side(parts: Sequence[Kept]) -> Kept:
    start, moved = 0, []
    for part in parts:
        moved.append(part.channels + start)
        start += part.of
    return Kept(torch.cat(moved), start)


def _copy(source: torch.Tensor, target: torch.Tensor, *axes: Kept) -> None:
    """Fill the first places of `target` with the kept places of `source`, axis by axis."""
    for axis, kept in enumerate(axes):
        source = source.index_select(axis, kept.channels)
    target[tuple(slice(size) for size in source.shape)] = source.to(target.dtype)


_RULES: dict[str, Callable[[Any, Any, Kept], Kept]] = {
    "Bottleneck": _bottleneck,
    "C2PSA": _attention_block,
    "C2f": _split_block,
    "C3": _three_convolutions,
    "C3k": _three_convolutions,
    "C3k2": _split_block,
    "Conv": _convolution,
    "Conv2d": _plain_convolution,
    "DWConv": _convolution,
    "PSABlock": _attend,
    "SPPF": _pyramid,
    "Sequential": _sequence,
    "Upsample": _unchanged,
}
