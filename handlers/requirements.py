"""What a variant asks of the machine it runs on."""

import platform
from pathlib import Path

from handlers.card import Card, Variant
from handlers.errors import CardError

CUDA = "cuda"
VNNI = "vnni"

_MISSING = {
    CUDA: "a CUDA GPU, and this worker has none (TorchServe: number_of_gpu)",
    VNNI: (
        "a processor whose 8-bit products do not saturate (x86-64 with VNNI), which this one is not"
    ),
}


def choose_variant(card: Card, name: str | None, gpu_id: int | None) -> Variant:
    """Return the variant to load here.

    Args:
        card: Lists them, the fastest first.
        name: Which one; None for the first that this machine can run, and on a GPU for the first
            that was made for one.
        gpu_id: CUDA device of this worker; None for the CPU.

    Raises:
        CardError: There is no such variant, or it asks for what this machine lacks.
    """
    if name is not None:
        variant = card.variant(name)
        missing = _unmet(variant, gpu_id)
        if missing:
            raise CardError(f"variant: {name} needs {missing}")
        return variant
    usable = [variant for variant in card.variants if not _unmet(variant, gpu_id)]
    if not usable:
        reasons = "; ".join(f"{one.name} needs {_unmet(one, gpu_id)}" for one in card.variants)
        raise CardError(f"variant: this machine can run none of {card.name}'s: {reasons}")
    return min(usable, key=lambda variant: gpu_id is None or CUDA not in variant.requires)


def multiplies_8_bits_exactly() -> bool:
    """Whether 8-bit products are summed without saturating here.

    On x86-64 that takes VNNI; without it, two products of 8-bit activations and 8-bit weights are
    summed in 16 bits.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False  # unknown: what is correct everywhere is chosen
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _unmet(variant: Variant, gpu_id: int | None) -> str:
    """Return what the machine lacks for a variant; "" for nothing."""
    for requirement in variant.requires:
        if requirement == CUDA and gpu_id is not None:
            continue
        if requirement == VNNI and (gpu_id is not None or multiplies_8_bits_exactly()):
            continue
        return _MISSING.get(requirement, f"{requirement!r}, which this handler does not know")
    return ""
