"""A worker loads only what its machine can run."""

from pathlib import Path

import pytest

from handlers.card import Card, Input, PostProcessing, Variant
from handlers.errors import CardError
from handlers.machine import Machine
from handlers.requirements import choose_variant, multiplies_8_bits_exactly, unmet


def card(**requires: tuple[str, ...]) -> Card:
    variants = tuple(
        Variant(name=name, runtime="onnxruntime", precision=name, file=name, requires=wants)
        for name, wants in requires.items()
    )
    return Card(
        name="tiny",
        version="1",
        class_names=("a",),
        input=Input(64, 64, 114, True, 1 / 255, "images", "predictions"),
        post_processing=PostProcessing((0.25,), 0.6, 300, 1000),
        variants=variants,
    )


def test_the_first_variant_that_runs_here_is_the_default() -> None:
    tiny = card(fp16=("cuda",), fp32=(), other=())

    assert choose_variant(tiny, None, None).name == "fp32"


def test_on_a_gpu_what_was_made_for_one_is_the_default() -> None:
    assert choose_variant(card(fp32=(), fp16=("cuda",)), None, 0).name == "fp16"
    assert choose_variant(card(fp32=(), int8=()), None, 0).name == "fp32"


def test_a_variant_that_is_asked_for_by_name_must_run_here() -> None:
    with pytest.raises(CardError, match="variant: fp16 needs a CUDA GPU"):
        choose_variant(card(fp32=(), fp16=("cuda",)), "fp16", None)


def test_eight_bits_are_chosen_only_where_their_products_do_not_saturate() -> None:
    chosen = choose_variant(card(int8=("vnni",), fp32=()), None, None).name

    assert chosen == ("int8" if multiplies_8_bits_exactly() else "fp32")


def test_where_nothing_runs_every_reason_is_told() -> None:
    with pytest.raises(CardError, match=r"fp16 needs a CUDA GPU.*odd needs 'quantum'"):
        choose_variant(card(fp16=("cuda",), odd=("quantum",)), None, None)


def test_bfloat16_is_refused_where_the_processor_lacks_it() -> None:
    tiny = card(bf16=("bf16",), fp32=())
    without, with_it = machine("avx2 avx512_vnni"), machine("avx2 avx512_bf16")

    assert choose_variant(tiny, None, None, without).name == "fp32"
    assert choose_variant(tiny, None, None, with_it).name == "bf16"
    with pytest.raises(CardError, match="variant: bf16 needs a processor with bfloat16"):
        choose_variant(tiny, "bf16", None, without)


def test_bfloat16_of_another_architecture_is_not_openvinos() -> None:
    arm = machine("bf16 avx512_bf16", architecture="aarch64")

    assert not arm.has_bf16
    assert arm.multiplies_8_bits_exactly


def test_a_gpu_does_not_help_what_runs_on_the_processor() -> None:
    plain = machine("avx2")
    int8 = Variant("openvino-int8", "openvino", "int8", "x", ("vnni",))
    on_gpu = Variant("onnxruntime-int8", "onnxruntime", "int8", "x", ("vnni",))

    assert unmet(int8, 0, plain)
    assert not unmet(on_gpu, 0, plain)


def test_the_processor_is_read_from_what_linux_says(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    core = "processor\t: {}\nmodel name\t: Some CPU\nflags\t\t: fpu avx_vnni\n\n"
    cpuinfo.write_text(core.format(0) + core.format(1))

    here = Machine.here(cpuinfo)

    assert here.cpu_model == "Some CPU"
    assert here.cpu_flags == {"fpu", "avx_vnni"}
    assert here.cores > 0


@pytest.mark.parametrize(
    ("text", "cores"),
    [("100000 100000", 1), ("50000 100000", 1), ("6400000 100000", None), ("max 100000", None)],
)
def test_a_containers_limit_on_time_counts(tmp_path: Path, text: str, cores: int | None) -> None:
    quota = tmp_path / "cpu.max"
    whole = Machine.here(quota=quota)  # it is absent

    quota.write_text(text)
    limited = Machine.here(quota=quota)

    assert not whole.is_limited
    assert limited.cores == (cores or whole.cores)
    assert limited.is_limited == (limited.cores < whole.cores)


def test_a_processor_that_cannot_be_asked_can_do_nothing_special(tmp_path: Path) -> None:
    assert Machine.here(tmp_path / "absent").cpu_flags == frozenset()


def machine(flags: str, architecture: str = "x86_64") -> Machine:
    return Machine(architecture, "", frozenset(flags.split()), 2)
