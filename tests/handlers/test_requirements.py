"""A worker loads only what its machine can run."""

import pytest

from handlers.card import Card, Input, PostProcessing, Variant
from handlers.errors import CardError
from handlers.requirements import choose_variant, multiplies_8_bits_exactly


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
