import pytest
import torch
from small_pairs import SIDE, batch, build


@pytest.mark.parametrize("name", ["yolov8n", "yolov5n"])
def test_decoded_boxes_are_those_of_the_head_itself(name):
    from ultralytics.utils.ops import xywh2xyxy

    from distill_jobs.training.heads import read_head

    model = build(name).eval()
    with torch.no_grad():
        decoded, raw = model(batch()["img"])
        output = read_head(model, (decoded, raw))

    expected = xywh2xyxy(decoded[:, :4].permute(0, 2, 1))
    torch.testing.assert_close(output.boxes_xyxy_px, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(output.logits.sigmoid(), decoded[:, 4:])


def test_both_branches_are_read_where_there_are_two():
    from distill_jobs.training.heads import read

    model = build("yolo26n").eval()
    model.end2end = True
    with torch.no_grad():
        for level in model.model[-1].one2one_cv3:  # equal to the other branch's in the beginning
            level[-1].bias += 1
        finished, raw = model(batch()["img"])
        reading = read(model, (finished, raw))

    assert reading.one_to_one is not None
    highest = reading.one_to_one.logits[0].amax(dim=0)
    torch.testing.assert_close(finished[0, 0, 4], highest.max().sigmoid())
    first = reading.one_to_one.boxes_xyxy_px[0, highest == highest.max()]  # there may be ties
    assert (first - finished[0, 0, :4]).abs().amax(dim=1).min() < 1e-3
    torch.testing.assert_close(reading.one_to_one.logits, reading.one_to_many.logits + 1)


@pytest.mark.parametrize(
    ("name", "reg_max", "one_to_one"),
    [("yolov5n", 16, False), ("yolov8n", 16, False), ("yolo11n", 16, False), ("yolo26n", 1, True)],
)
def test_a_heads_shape_is_known_before_it_sees_an_image(name, reg_max, one_to_one):
    from distill_jobs.training.heads import head_shape, read

    model = build(name)
    reading = read(model, model(batch()["img"]))
    shape = head_shape(model)

    assert (shape.reg_max, shape.one_to_one) == (reg_max, one_to_one)
    assert shape.strides == (8, 16, 32)
    assert shape.widths == tuple(level.shape[1] for level in reading.features)
    assert reading.one_to_many.distances.shape == (2, 4 * reg_max, reading.centres_px.shape[0])


def test_anchors_lie_in_the_middle_of_their_cells():
    from distill_jobs.training.heads import read

    model = build("yolov8n")
    centres = read(model, model(batch()["img"])).centres_px

    assert centres[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
    assert centres[-1].tolist() == [SIDE - 16.0, SIDE - 16.0]


def test_a_fused_end_to_end_head_is_refused():
    from distill_jobs.errors import HeadsDiffer
    from distill_jobs.training.heads import head_shape

    model = build("yolo26n").eval()
    model.end2end = True
    model.fuse(verbose=False)

    with pytest.raises(HeadsDiffer, match="give the checkpoint as it was trained"):
        head_shape(model)
