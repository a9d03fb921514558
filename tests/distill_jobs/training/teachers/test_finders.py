"""Teachers that give finished boxes: checkpoints of other heads, and exported detectors."""

import cv2
import numpy as np
import pytest
import torch
from small_detectors import SIDE, detector

from distill_jobs.errors import CheckpointRefused
from distill_jobs.training.teachers.classes import ClassMap

# Torch calls the exporter legacy that writes the graphs this product exports.
pytestmark = pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX")

SQUARE = (slice(20, 60), slice(70, 130))  # rows, columns: x 70 to 130, y 20 to 60


@pytest.fixture
def image(tmp_path):
    """A wide dark picture with one bright rectangle."""
    from distill_jobs.training.teachers.found import SourceImage

    picture = np.zeros((100, 200, 3), np.uint8)
    picture[SQUARE] = 255
    path = tmp_path / "wide.png"
    assert cv2.imwrite(str(path), picture)
    return SourceImage(path)


def selection(names=("a", "b"), student=("a", "b"), renamed=None, min_score=0.1):
    from distill_jobs.training.teachers.found import Selection

    return Selection(ClassMap.between(names, student, renamed), min_score)


class BrightCells(torch.nn.Module):
    """Says of each bright cell of 8 px that it is a box of 16 px: as much as a test needs."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.old = layout == "yolov5"

    def forward(self, images):
        bright = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 8).flatten(2)
        side = images.shape[-1] // 8
        steps = torch.arange(side) * 8.0 + 4.0
        x, y = steps.repeat(side), steps.repeat_interleave(side)
        size = torch.full_like(x, 16.0)
        boxes = torch.stack((x, y, size, size))[None]
        scores = torch.cat((bright * 0.8, bright * 0.3), dim=1)
        if self.old:
            half = torch.full_like(bright, 0.5)
            return torch.cat((boxes, half, scores), dim=1).transpose(1, 2)
        return torch.cat((boxes, scores), dim=1)


def export(tmp_path, kind, layout, spoken=None, **config):
    module, example = BrightCells(layout).eval(), torch.zeros(1, 3, 64, 64)
    if kind == "torchscript":
        import json

        path = tmp_path / "old.torchscript"
        content = {"shape": [1, 3, 64, 64], "names": spoken, **config}
        extra = {"config.txt": json.dumps(content)}
        torch.jit.save(torch.jit.trace(module, example), str(path), _extra_files=extra)
        return path
    import onnx

    path = tmp_path / "old.onnx"
    torch.onnx.export(module, (example,), str(path), dynamo=False, opset_version=17)
    model = onnx.load(str(path))
    if spoken:
        model.metadata_props.add(key="names", value=str(spoken))
    onnx.save(model, str(path))
    return path


def load(path, kind, layout):
    from distill_jobs.training.teachers.exported import load_onnx, load_torchscript

    return (load_onnx if kind == "onnx" else load_torchscript)(path, layout)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.parametrize(("layout", "score"), [("yolov5", 0.4), ("yolov8", 0.8)])
def test_an_exported_detector_is_read_by_its_layout(tmp_path, image, kind, layout, score):
    from distill_jobs.training.teachers.exported import ExportedFinder

    exported = load(export(tmp_path, kind, layout, {0: "a", 1: "b"}), kind, layout)

    found = ExportedFinder(exported, selection(min_score=0.25), 64).find(image)

    assert exported.class_names == ("a", "b")
    assert exported.image_size == 64
    # 64 px see 200: a cell of 8 px is 25 px of the original, and the image lies in rows 16 to 48.
    assert found.scores.max() == pytest.approx(score, abs=0.02)
    best = found.boxes_xyxy_px[found.scores.argmax()]
    centre = (best[:2] + best[2:]) / 2
    assert 70 <= centre[0] <= 130
    assert 20 <= centre[1] <= 60
    assert best[2] - best[0] == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    ("config", "side", "names"),
    [
        ({"imgsz": 96}, 96, ("a", "b")),
        ({"imgsz": [64, 96]}, 96, ("a", "b")),
        ({"imgsz": "big", "shape": []}, None, ("a", "b")),
        ({"names": {"first": "a", "second": "b"}}, 64, None),
        ({"names": {"1": "b", "0": "a"}}, 64, ("a", "b")),
        ({"names": "-" * 100_000 + "1"}, 64, None),
    ],
)
def test_an_exports_own_words_are_read_as_far_as_they_can_be(tmp_path, config, side, names):
    path = export(tmp_path, "torchscript", "yolov8", ["a", "b"], **config)

    exported = load(path, "torchscript", "yolov8")

    assert (exported.image_size, exported.class_names) == (side, names)


def test_words_that_are_all_brackets_are_none(tmp_path):
    path = tmp_path / "old.torchscript"
    traced = torch.jit.trace(BrightCells("yolov8").eval(), torch.zeros(1, 3, 64, 64))
    torch.jit.save(traced, str(path), _extra_files={"config.txt": "[" * 100_000})

    exported = load(path, "torchscript", "yolov8")

    assert (exported.image_size, exported.class_names) == (None, None)


def test_a_wrong_layout_says_what_it_means(tmp_path, image):
    from distill_jobs.training.teachers.exported import ExportedFinder

    exported = load(export(tmp_path, "onnx", "yolov5"), "onnx", "yolov8")

    with pytest.raises(CheckpointRefused, match=r"shape \[1, 64, 7\].*yolov8.*means \[1, 6, A\]"):
        ExportedFinder(exported, selection(), 64).find(image)


def test_a_wrong_size_says_what_to_give(tmp_path, image):
    from distill_jobs.training.teachers.exported import ExportedFinder

    exported = load(export(tmp_path, "onnx", "yolov8"), "onnx", "yolov8")

    with pytest.raises(CheckpointRefused, match=r"input of 96 px.*Give its `image_size:`"):
        ExportedFinder(exported, selection(), 96).find(image)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_what_is_no_export_is_refused(tmp_path, kind):
    path = tmp_path / "broken"
    path.write_bytes(b"nothing of the kind")

    with pytest.raises(CheckpointRefused, match="broken"):
        load(path, kind, "yolov8")
    with pytest.raises(CheckpointRefused, match="no such file"):
        load(tmp_path / "absent", kind, "yolov8")


def test_without_names_nothing_is_guessed(tmp_path):
    assert load(export(tmp_path, "onnx", "yolov8"), "onnx", "yolov8").class_names is None


@pytest.mark.parametrize("name", ["yolov8n-p6", "yolo26n"])
def test_a_checkpoint_with_anchors_gives_what_ultralytics_would(tmp_path, image, name):
    from ultralytics.utils.nms import non_max_suppression

    from distill_jobs.fitting import fit
    from distill_jobs.training.teachers.checkpoint import finder_of

    model = detector(name, width=0.125 if name == "yolov8n-p6" else None)
    finder = finder_of(model, "d", selection(min_score=0.05), SIDE * 2, torch.device("cpu"))
    model.model[-1].end2end = False
    tensor, geometry = fit(image.read(), SIDE * 2)
    with torch.no_grad():
        (expected,) = non_max_suppression(
            model(torch.from_numpy(tensor)[None])[0].clone(),
            0.05,
            0.7,
            multi_label=True,
            max_det=100,
        )

    found = finder.find(image)

    assert len(found.scores) > 3
    inside = (expected[:, 2:4] > expected[:, :2]).all(dim=1)
    scores = expected[inside, 4].sort(descending=True).values.numpy()
    np.testing.assert_allclose(found.scores[:3], scores[:3], atol=1e-4)
    assert geometry.width == found.width == 200


class Queries(torch.nn.Module):
    """What an RT-DETR answers: one box in the middle of the picture, and one nobody believes."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Identity())
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images):
        self.sizes.append(tuple(images.shape))
        rows = [[0.5, 0.5, 0.25, 0.5, 0.9, 1.0], [0.2, 0.2, 0.1, 0.1, 0.01, 0.0]]
        return torch.tensor([rows]), None


def test_queries_see_the_picture_stretched_and_answer_in_fractions(image):
    from distill_jobs.training.teachers.checkpoint import finder_of

    model = Queries()

    found = finder_of(model, "d", selection(), 64, torch.device("cpu")).find(image)

    assert model.sizes == [(1, 3, 64, 64)]
    assert found.boxes_xyxy_px.tolist() == [[75, 25, 125, 75]]
    assert found.class_ids.tolist() == [1]


def test_classes_that_become_one_do_not_rival_each_other(tmp_path, image):
    from distill_jobs.training.teachers.exported import ExportedFinder

    exported = load(export(tmp_path, "onnx", "yolov8"), "onnx", "yolov8")
    merged = selection(("a", "b"), ("z",), {"a": "z", "b": "z"}, min_score=0.25)

    found = ExportedFinder(exported, merged, 64).find(image)
    apart = ExportedFinder(exported, selection(min_score=0.25), 64).find(image)

    assert len(found.scores) < len(apart.scores)
    assert set(found.class_ids.tolist()) == {0}


def test_an_identity_covers_what_answers_depend_on():
    from distill_jobs.training.teachers.found import identity

    plain = {"teacher": "x", "image_size": 64, **selection().parts}
    others = [
        {**plain, "teacher": "y"},
        {**plain, "image_size": 96},
        {**plain, **selection(min_score=0.2).parts},
        {**plain, **selection(renamed={"b": None}).parts},
    ]

    names = {identity(**parts) for parts in (plain, *others)}

    assert identity(**plain) == identity(**dict(reversed(plain.items())))
    assert len(names) == 5


@pytest.mark.slow
def test_a_real_rt_detr_is_loaded_and_looks(tmp_path, image):
    from ultralytics.nn.tasks import RTDETRDetectionModel

    from distill_jobs.checkpoints import load_detector
    from distill_jobs.training.teachers.checkpoint import finder_of

    torch.manual_seed(0)
    model = RTDETRDetectionModel("rtdetr-resnet50.yaml", nc=2, verbose=False)
    model.names = {0: "a", 1: "b"}
    torch.save({"model": model, "epoch": -1, "train_args": {}}, tmp_path / "rtdetr.pt")

    loaded = load_detector(tmp_path / "rtdetr.pt")
    finder = finder_of(loaded, "d", selection(min_score=0.0), 128, torch.device("cpu"))
    found = finder.find(image)

    assert 0 < len(found.scores) <= 100
    assert (found.boxes_xyxy_px[:, 2] <= 200).all()
