import math

import pytest
import torch

from distill_jobs.training.answers import BoxesAnswer
from distill_jobs.training.assignment import as_head_output
from distill_jobs.training.heads import HeadOutput

# Four by four anchors of stride 8; the student's boxes are specks but where a test says otherwise.
CENTRES = torch.tensor([[8.0 * x + 4, 8.0 * y + 4] for y in range(4) for x in range(4)])
BOX = torch.tensor([0.0, 0.0, 16.0, 16.0])
NOWHERE = (torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))


def student(*boxes: tuple[int, torch.Tensor, float], images: int = 1) -> HeadOutput:
    """Build an answer: at these anchors these boxes with this score in both classes."""
    specks = torch.cat((CENTRES, CENTRES + 0.01), dim=1)
    logits = torch.full((images, 2, 16), -6.0)
    for anchor, box, score in boxes:
        specks[anchor] = box
        logits[:, :, anchor] = math.log(score / (1 - score))
    return HeadOutput(logits.requires_grad_(), specks.expand(images, -1, -1).clone())


def answer(*images: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> BoxesAnswer:
    boxes, scores, class_ids = zip(*images, strict=True)
    return BoxesAnswer(boxes, scores, class_ids, known=torch.tensor([True, True]))


def one(box: torch.Tensor, score: float, class_id: int):
    return box[None], torch.tensor([score]), torch.tensor([class_id])


def test_an_anchor_that_fits_a_detection_takes_over_its_score_class_and_box():
    learnt = student((5, BOX, 0.5))

    taught = as_head_output(answer(one(BOX, 0.8, 1)), learnt, CENTRES, (8,))

    scores = taught.logits.sigmoid()
    assert scores[0, 1, 5].item() == pytest.approx(0.8, rel=1e-4)
    assert scores.sum().item() == pytest.approx(0.8, rel=1e-3)
    assert torch.equal(taught.boxes_xyxy_px[0, 5], BOX)
    assert not taught.logits.requires_grad


def test_a_box_that_fits_worse_is_asked_for_less():
    half = torch.tensor([0.0, 0.0, 16.0, 8.0])  # IoU 1/2; CIoU takes off the centres' distance
    learnt = student((5, half, 0.5))
    off_centre = 4.0**2 / (16.0**2 + 16.0**2)
    tilt = (4 / math.pi**2) * (math.atan(1.0) - math.atan(2.0)) ** 2
    expected = 0.8 * (0.5 - off_centre - tilt * tilt / (tilt - 0.5 + 1))

    taught = as_head_output(answer(one(BOX, 0.8, 0)), learnt, CENTRES, (8,))

    assert taught.logits.sigmoid()[0, 0, 5].item() == pytest.approx(expected, rel=1e-3)


def test_several_anchors_speak_for_a_detection_and_one_in_a_one_to_one_branch():
    learnt = student((5, BOX, 0.5), (1, BOX, 0.32))
    said = answer(one(BOX, 0.8, 0))

    many = as_head_output(said, learnt, CENTRES, (8,)).logits.sigmoid()[0, 0]
    single = as_head_output(said, learnt, CENTRES, (8,), one_to_one=True).logits.sigmoid()[0, 0]

    # Alignment is score^0.5 IoU^6: the second anchor's is sqrt(0.32/0.5) = 0.8 of the first's.
    assert many[[5, 1]].tolist() == pytest.approx([0.8, 0.64], rel=1e-3)
    assert single[[5, 1]].tolist() == pytest.approx([0.8, 0.0], rel=1e-3)


def test_images_have_unequal_numbers_of_detections_or_none():
    corner = BOX + 16
    learnt = student((5, BOX, 0.5), (10, corner, 0.5), images=3)
    two = (torch.stack((BOX, corner)), torch.tensor([0.8, 0.4]), torch.tensor([0, 1]))

    taught = as_head_output(answer(two, NOWHERE, one(corner, 0.6, 0)), learnt, CENTRES, (8,))

    scores = taught.logits.sigmoid()
    assert scores[0, 0, 5].item() == pytest.approx(0.8, rel=1e-3)
    assert scores[0, 1, 10].item() == pytest.approx(0.4, rel=1e-3)
    assert scores[1].sum() == 0
    assert scores[2, 0, 10].item() == pytest.approx(0.6, rel=1e-3)
    assert scores[2].sum().item() == pytest.approx(0.6, rel=1e-3)


def test_no_detection_at_all_asks_for_nothing():
    taught = as_head_output(answer(NOWHERE, NOWHERE), student(images=2), CENTRES, (8,))

    assert (taught.logits == -math.inf).all()
    assert taught.logits.shape == (2, 2, 16)


def test_a_detection_without_area_is_left_out():
    flat = torch.tensor([4.0, 4.0, 4.0, 20.0])

    taught = as_head_output(answer(one(flat, 0.8, 1)), student((5, BOX, 0.5)), CENTRES, (8,))

    assert taught.logits.sigmoid().sum() == 0
