"""What a variant asks of the machine it runs on."""

from handlers.card import Card, Variant
from handlers.errors import CardError
from handlers.machine import Machine

CUDA = "cuda"
VNNI = "vnni"
BF16 = "bf16"

_MISSING = {
    CUDA: "a CUDA GPU, and this worker has none (TorchServe: number_of_gpu)",
    VNNI: (
        "a processor whose 8-bit products do not saturate (x86-64 with VNNI), which this one is not"
    ),
    BF16: "a processor with bfloat16 (x86-64 with AVX512-BF16 or AMX), which this one is not",
}


def choose_variant(
    card: Card, name: str | None, gpu_id: int | None, machine: Machine | None = None
) -> Variant:
    """Return the variant to load where nothing was measured.

    Args:
        card: Lists them, the fastest first.
        name: Which one; None for the first that this machine can run, and on a GPU for the first
            that was made for one.
        gpu_id: CUDA device of this worker; None for the CPU.
        machine: What it runs on; None: here.

    Raises:
        CardError: There is no such variant, or it asks for what this machine lacks.
    """
    here = machine or Machine.here()
    if name is not None:
        variant = card.variant(name)
        missing = unmet(variant, gpu_id, here)
        if missing:
            raise CardError(f"variant: {name} needs {missing}")
        return variant
    return usable_variants(card, gpu_id, here)[0]


def usable_variants(card: Card, gpu_id: int | None, machine: Machine) -> tuple[Variant, ...]:
    """Return what a machine can run, in the card's order; on a GPU what was made for one first.

    Args:
        card: Lists them.
        gpu_id: CUDA device of this worker; None for the CPU.
        machine: What it runs on.

    Raises:
        CardError: It can run none.
    """
    usable = [one for one in card.variants if not unmet(one, gpu_id, machine)]
    if not usable:
        reasons = "; ".join(
            f"{one.name} needs {unmet(one, gpu_id, machine)}" for one in card.variants
        )
        raise CardError(f"variant: this machine can run none of {card.name}'s: {reasons}")
    return tuple(sorted(usable, key=lambda one: gpu_id is None or CUDA not in one.requires))


def multiplies_8_bits_exactly() -> bool:
    """Whether 8-bit products are summed without saturating here; see `Machine`."""
    return Machine.here().multiplies_8_bits_exactly


def unmet(variant: Variant, gpu_id: int | None, machine: Machine) -> str:
    """Return what a machine lacks for a variant; "" for nothing.

    Args:
        variant: What is to run.
        gpu_id: CUDA device of this worker; None for the CPU.
        machine: What it runs on.
    """
    on_gpu = gpu_id is not None and variant.runtime != "openvino"
    met = {
        CUDA: on_gpu,
        VNNI: on_gpu or machine.multiplies_8_bits_exactly,
        BF16: machine.has_bf16,
    }
    for requirement in variant.requires:
        if not met.get(requirement, False):
            return _MISSING.get(requirement, f"{requirement!r}, which this handler does not know")
    return ""
