"""What a variant made here asks of the machine it runs on, and whether this one can check it."""

import onnxruntime

from handlers.machine import Machine
from handlers.requirements import BF16, CUDA, VNNI, multiplies_8_bits_exactly


def requirements(name: str) -> tuple[str, ...]:
    """Return what a variant made on this machine asks of the machine it runs on."""
    if name.endswith("fp16"):
        return (CUDA,)
    # Without VNNI INT8 is made with 7-bit weights, which are exact everywhere.
    eight_bits = (VNNI,) if "int8" in name and multiplies_8_bits_exactly() else ()
    return eight_bits + ((BF16,) if name.endswith("bf16") else ())


def is_for_gpus(name: str) -> bool:
    """Whether a variant runs on CUDA devices alone."""
    return CUDA in requirements(name)


def device_for(name: str) -> int | None:
    """Return the CUDA device that a variant is checked on; None for the CPU."""
    return 0 if is_for_gpus(name) else None


def cannot_measure(name: str) -> str:
    """Return why this machine cannot check a variant; "" where it can."""
    if BF16 in requirements(name) and not Machine.here().has_bf16:
        return (
            "this processor has no bfloat16 (AVX512-BF16 or AMX), so it cannot be measured: "
            "release on one that has"
        )
    if not is_for_gpus(name) or _has_gpu():
        return ""
    return (
        "FP16 is for GPUs and there is none here that ONNX Runtime can use, so it cannot be "
        "measured. Release on a machine with a GPU, or keep the file outside the archive: "
        "`keep_unmeasured: true`"
    )


def _has_gpu() -> bool:
    import torch  # noqa: PLC0415  # heavy, and asked for only where FP16 is

    listed = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return listed and torch.cuda.is_available()
