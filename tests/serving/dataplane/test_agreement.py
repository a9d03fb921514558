from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.agreement import compare, f1, mean_iou, merged, renumbered
from serving.errors import WorkerFailed
from serving.store.observations import AgreementSums, ClassAgreement
from serving.torchserve.inference import WorkerReply

Detection = tuple[tuple[float, float, float, float], int, float]


def reply(*found: Detection) -> WorkerReply:
    return WorkerReply(
        width=64,
        height=64,
        boxes_xyxy_px=tuple(side for corners, _, _ in found for side in corners),
        scores=tuple(score for _, _, score in found),
        class_ids=tuple(class_id for _, class_id, _ in found),
        variant="v",
        decode_ms=0,
        preprocess_ms=0,
        inference_ms=0,
        postprocess_ms=0,
        batch=1,
    )


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    x, y = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    width, height = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    score = draw(st.floats(0.001, 1))
    return (x, y, x + width, y + height), draw(st.integers(0, 3)), score


found_sets = st.lists(detections(), max_size=12)


def close(one: AgreementSums, other: AgreementSums) -> bool:
    """Whether two sums are the same; where overlaps tie, floats may differ in their last digits."""
    floats = ("f1", "iou", "score_difference")
    return one.model_dump(exclude={*floats}) == other.model_dump(exclude={*floats}) and all(
        getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-3) for name in floats
    )


def turned(sums: AgreementSums) -> AgreementSums:
    """Return the sums with the two arms in each other's place."""
    classes = {
        number: one.model_copy(update={"primary": one.shadow, "shadow": one.primary})
        for number, one in sums.classes.items()
    }
    return sums.model_copy(update={"classes": classes})


def test_a_frame_is_summed_up_class_by_class() -> None:
    primary = reply(((0, 0, 10, 10), 0, 0.9), ((20, 20, 30, 30), 1, 0.5), ((40, 0, 50, 10), 1, 0.6))
    shadow = reply(((0, 0, 10, 8), 0, 0.7), ((20, 20, 30, 30), 0, 0.5))

    sums = compare(primary, shadow)

    assert sums.f1 == pytest.approx(2 * 1 / 5)
    assert (sums.frames, sums.matched, sums.count_difference) == (1, 1, 1)
    assert sums.iou == pytest.approx(0.8)
    assert sums.score_difference == pytest.approx(0.2)
    assert sums.classes == {
        0: ClassAgreement(matched=1, primary=1, shadow=2),
        1: ClassAgreement(matched=0, primary=2, shadow=0),
    }


def test_two_empty_answers_agree_and_one_empty_answer_does_not() -> None:
    box: Detection = ((0, 0, 10, 10), 0, 0.9)

    assert compare(reply(), reply()) == AgreementSums(frames=1, f1=1.0)
    assert compare(reply(), reply(box)).f1 == 0.0
    assert compare(reply(box), reply()).count_difference == 1


def test_means_are_over_frames_and_over_pairs() -> None:
    box: Detection = ((0, 0, 10, 10), 0, 0.9)
    half: Detection = ((0, 0, 10, 6), 0, 0.9)

    sums = merged([compare(reply(box), reply(half)), compare(reply(), reply(box))])

    assert f1(sums) == pytest.approx(0.5)
    assert mean_iou(sums) == pytest.approx(0.6)
    assert sums.classes == {0: ClassAgreement(matched=1, primary=1, shadow=2)}
    assert f1(merged([])) is None
    assert mean_iou(compare(reply(), reply())) is None


def test_classes_are_compared_by_name() -> None:
    primary = reply(((0, 0, 10, 10), 0, 0.9), ((20, 20, 30, 30), 1, 0.5))
    shadow = reply(((0, 0, 10, 10), 1, 0.9), ((20, 20, 30, 30), 0, 0.5))

    same = renumbered(primary, ("cell", "plate"), ("plate", "cell", "car"))

    assert compare(same, shadow).f1 == 1.0
    assert renumbered(primary, ("cell", "dog"), ("cell",)).class_ids == (0, 2)
    assert renumbered(primary, ("a", "b"), ("a", "b")) is primary


def test_a_class_that_no_card_names_is_the_workers_fault() -> None:
    with pytest.raises(WorkerFailed, match="class 2 answered, and the card names 2 classes"):
        renumbered(reply(((0, 0, 1, 1), 2, 0.9)), ("a", "b"), ("a", "b"))


@given(found_sets)
def test_an_answer_agrees_with_itself(found: list[Detection]) -> None:
    sums = compare(reply(*found), reply(*found), min_iou=1.0)

    assert (sums.f1, sums.matched, sums.count_difference) == (1.0, len(found), 0)
    assert sums.iou == pytest.approx(len(found))
    assert sums.score_difference == pytest.approx(0, abs=1e-9)


@given(found_sets, found_sets)
def test_it_is_the_same_from_either_side(one: list[Detection], other: list[Detection]) -> None:
    there, back = compare(reply(*one), reply(*other)), compare(reply(*other), reply(*one))

    assert close(there, turned(back))


@given(found_sets, found_sets, st.randoms(use_true_random=False))
def test_the_order_of_the_boxes_is_nothing(
    one: list[Detection], other: list[Detection], random: Random
) -> None:
    before = compare(reply(*one), reply(*other))

    random.shuffle(one)
    random.shuffle(other)

    assert close(compare(reply(*one), reply(*other)), before)


@given(found_sets, found_sets, st.floats(0.05, 1), st.floats(0.05, 1))
def test_a_stricter_overlap_never_agrees_more(
    one: list[Detection], other: list[Detection], a: float, b: float
) -> None:
    loose = compare(reply(*one), reply(*other), min_iou=min(a, b))
    strict = compare(reply(*one), reply(*other), min_iou=max(a, b))

    assert strict.matched <= loose.matched <= min(len(one), len(other))
    assert 0 <= strict.f1 <= loose.f1 <= 1


@given(found_sets, found_sets)
def test_the_classes_add_up_to_the_whole(one: list[Detection], other: list[Detection]) -> None:
    sums = compare(reply(*one), reply(*other))

    classes = sums.classes.values()
    assert sum(each.matched for each in classes) == sums.matched
    assert sum(each.primary for each in classes) == len(one)
    assert sum(each.shadow for each in classes) == len(other)


@given(st.lists(st.tuples(found_sets, found_sets), max_size=4), st.integers(0, 4))
def test_sums_of_sums_are_the_sums(
    frames: list[tuple[list[Detection], list[Detection]]], cut: int
) -> None:
    parts = [compare(reply(*one), reply(*other)) for one, other in frames]

    whole, pieces = merged(parts), merged([merged(parts[:cut]), merged(parts[cut:])])

    assert close(whole, pieces)
    assert whole.frames == len(frames)


def test_the_worst_frame_is_compared_whole() -> None:
    crowd = [((i / 8, 0.0, 8 + i / 8, 8.0), 0, 0.5) for i in range(300)]

    sums = compare(reply(*crowd), replace(reply(*crowd)))

    assert (sums.matched, sums.f1) == (300, 1.0)
