import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_detectors import card_document, cell_boxes

from handlers.card import Card, CardError
from handlers.errors import RuntimeFailed
from handlers.runtimes import load_runtime

VARIANTS = ["onnxruntime-fp32", "torchscript-fp32", "openvino-fp32"]


@pytest.fixture
def card() -> Card:
    return Card.parse(json.dumps(card_document()))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_each_runtime_answers_the_dense_head(
    parts: Path, card: Card, variant: str, batch_size: int
) -> None:
    batch = np.zeros((batch_size, 3, 64, 64), np.float32)
    batch[-1, 1, :8, 8:16] = 0.75  # the second cell is green

    heads = load_runtime(card, parts, variant, threads=1).run(batch)

    assert heads.shape == (batch_size, 7, 64)
    assert heads.dtype == np.float32
    np.testing.assert_allclose(heads[-1, 4:, 1], [0, 0.75, 0])
    np.testing.assert_array_equal(heads[:, :4], np.tile(cell_boxes(), (batch_size, 1, 1)))
    assert np.count_nonzero(heads[:, 4:]) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_answer_outlives_the_batch_it_was_given_for(
    parts: Path, card: Card, variant: str
) -> None:
    runtime = load_runtime(card, parts, variant)
    batch = np.full((1, 3, 64, 64), 0.5, np.float32)

    first = runtime.run(batch)
    batch.fill(0)
    runtime.run(batch)

    np.testing.assert_allclose(first[0, 4:], 0.5)


def test_the_default_is_the_cards_first_variant(parts: Path, card: Card) -> None:
    assert type(load_runtime(card, parts)).__name__ == "OnnxRuntime"


def test_an_unknown_variant_is_refused(parts: Path, card: Card) -> None:
    with pytest.raises(CardError, match="has no 'openvino-bf16'"):
        load_runtime(card, parts, "openvino-bf16")


def test_an_unknown_runtime_is_refused(parts: Path, card: Card) -> None:
    odd = dataclasses.replace(card.variants[0], runtime="tensorrt")

    with pytest.raises(CardError, match="runtime must be onnxruntime, openvino or torch"):
        load_runtime(dataclasses.replace(card, variants=(odd,)), parts)


def test_absent_weights_are_named(tmp_path: Path, card: Card) -> None:
    with pytest.raises(RuntimeFailed, match=r"cells\.onnx: the archive lacks the weights"):
        load_runtime(card, tmp_path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_damaged_weights_are_named(parts: Path, tmp_path: Path, card: Card, variant: str) -> None:
    file = card.variant(variant).file
    (tmp_path / file).write_bytes((parts / file).read_bytes()[:200])

    with pytest.raises(RuntimeFailed, match=f"{file}: does not load"):
        load_runtime(card, tmp_path, variant)


@pytest.mark.parametrize("variant", ["onnxruntime-fp32", "openvino-fp32"])
@pytest.mark.parametrize(("field", "role"), [("tensor_name", "input"), ("output_name", "output")])
def test_a_tensor_that_the_graph_lacks_is_named(
    parts: Path, tmp_path: Path, card: Card, field: str, *, role: str, variant: str
) -> None:
    shutil.copy(parts / "cells.onnx", tmp_path)
    wrong = dataclasses.replace(card, input=dataclasses.replace(card.input, **{field: "x"}))

    with pytest.raises(RuntimeFailed, match=f"the card names its {role} 'x', but the graph has"):
        load_runtime(wrong, tmp_path, variant)
