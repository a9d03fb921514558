"""Real archives for real servers: a tiny ONNX detector in everything a release consists of."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import pytest_asyncio
from deployment import Deployment, deployed
from onnx import TensorProto, helper, numpy_helper
from planes import Plane, open_plane
from postgres_server import PostgresServer, postgres_server

from distill_jobs.release import archive as packing
from distill_jobs.release import sign
from distill_jobs.release.card import as_json
from handlers.pipeline import BadFrame, Frame, Pipeline
from proto.wire.v1 import card_pb2
from serving.store.store import Store, open_store
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe

IMAGE_SIZE = 64
CLASS_NAMES = ("cell", "plate")
_BUSY_SIDE = 768


def detector(
    boxes: Sequence[Sequence[float]], *, busy: int = 0, fails_on_white: bool = False
) -> onnx.ModelProto:
    """Return a detector that answers the same dense head for every image.

    Args:
        boxes: (cx, cy, w, h, score of class 0, score of class 1) each, input pixels.
        busy: How many large matrix products it computes first, to be slow.
        fails_on_white: Whether an image that is nearly white makes it fail.
    """
    head = np.array(boxes, np.float32).T[None]
    square = np.full((_BUSY_SIDE, _BUSY_SIDE), 1 / _BUSY_SIDE, np.float32)
    constants = [numpy_helper.from_array(head, "head")]
    constants += [numpy_helper.from_array(np.zeros(1, np.float32), "zero")]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last_axis"], ["level"]),
    ]
    constants += [numpy_helper.from_array(np.array([3], np.int64), "last_axis")]
    last = "level"
    if busy:
        constants += [numpy_helper.from_array(square, "square")]
        nodes += [helper.make_node("ReduceMax", ["images"], ["max"], keepdims=0)]
        nodes += [helper.make_node("Mul", ["square", "max"], ["work0"])]
        nodes += [
            helper.make_node("MatMul", [f"work{i}", "square"], [f"work{i + 1}"])
            for i in range(busy)
        ]
        nodes += [helper.make_node("ReduceMax", [f"work{busy}"], ["worked"], keepdims=0)]
        nodes += [helper.make_node("Add", ["level", "worked"], ["busy_level"])]
        last = "busy_level"
    if fails_on_white:
        # The index is 0 up to a mean of 0.8 and 1, beyond the end, above it.
        constants += [numpy_helper.from_array(np.array(1.25, np.float32), "steep")]
        nodes += [
            helper.make_node("ReduceMax", ["level"], ["brightest"], keepdims=0),
            helper.make_node("Mul", ["brightest", "steep"], ["steps"]),
            helper.make_node("Cast", ["steps"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["zero", "index"], ["looked_up"]),
            helper.make_node("Add", [last, "looked_up"], ["fragile_level"]),
        ]
        last = "fragile_level"
    nodes += [
        helper.make_node("Mul", [last, "zero"], ["nothing"]),
        helper.make_node("Add", ["head", "nothing"], ["output0"]),
    ]
    side = IMAGE_SIZE
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 6, len(boxes)])],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


BOXES = ((20, 20, 16, 16, 0.9, 0.01), (44, 40, 12, 20, 0.02, 0.8), (10, 50, 8, 8, 0.01, 0.01))


def frame_image(seed: int = 0, size: int = 96) -> bytes:
    """Return a small JPEG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


class ArchiveBuilder:
    """Builds signed archives with the code that releases are built with.

    Args:
        folder: Scratch.
        signing_key: Private key.
    """

    def __init__(self, folder: Path, signing_key: Path) -> None:
        self._folder = folder
        self.signing_key = signing_key
        self.public_key = sign.public_key_of(signing_key)

    @staticmethod
    def weights(boxes: Sequence[Sequence[float]] = BOXES, *, busy: int = 0) -> bytes:
        """Return a detector's weights; see `detector`."""
        return bytes(detector(boxes, busy=busy).SerializeToString())

    def build(
        self,
        model_store: Path,
        name: str = "student",
        version: str = "1.0",
        *,
        boxes: Sequence[Sequence[float]] = BOXES,
        busy: int = 0,
        fails_on_white: bool = False,
        files: Mapping[str, bytes] | None = None,
        change_card: Callable[[card_pb2.Card], None] = lambda card: None,
    ) -> Path:
        """Return NAME-VERSION.mar in `model_store`, signed.

        Args:
            model_store: Where to.
            name: Of the model.
            version: Of the model.
            boxes: See `detector`.
            busy: See `detector`.
            fails_on_white: See `detector`.
            files: Further ones, by their path in the archive.
            change_card: Changes the card before it is packed and signed.
        """
        stage = Path(tempfile.mkdtemp(dir=self._folder))
        model = detector(boxes, busy=busy, fails_on_white=fails_on_white)
        onnx.save(model, stage / "student.onnx")
        image = frame_image()
        card = _card(name, version)
        (stage / "card.json").write_text(as_json(card))
        card.golden_frames.append(_golden(Pipeline.load(stage), image))
        card.digests.update(packing.stage(stage, {"golden/1.jpg": image, **(files or {})}))
        change_card(card)
        (stage / "card.json").write_text(as_json(card))
        model_store.mkdir(parents=True, exist_ok=True)
        published = packing.publish(
            stage,
            name=name,
            version=version,
            model_store=model_store,
            signing_key=self.signing_key,
        )
        return published.archive


def _card(name: str, version: str) -> card_pb2.Card:
    tolerance = card_pb2.Tolerance(min_iou=0.9, max_score_difference=0.01, min_f1=0.99)
    return card_pb2.Card(
        schema_version=1,
        name=name,
        version=version,
        role=card_pb2.ROLE_TEACHER if name == "teacher" else card_pb2.ROLE_STUDENT,
        task=card_pb2.TASK_DETECTION,
        class_names=CLASS_NAMES,
        input=card_pb2.Input(
            width=IMAGE_SIZE,
            height=IMAGE_SIZE,
            letterbox_pad=114,
            letterbox_scale_up=True,
            colour="RGB",
            scale=1 / 255,
            tensor_name="images",
            output_name="output0",
            opset=17,
        ),
        head=card_pb2.Head(kind=card_pb2.HEAD_KIND_DENSE),
        post_processing=card_pb2.PostProcessing(
            operating_thresholds=[0.25] * len(CLASS_NAMES),
            iou_threshold=0.7,
            max_detections=300,
            max_candidates=1000,
        ),
        variants=[
            card_pb2.Variant(
                name="onnxruntime-fp32",
                runtime="onnxruntime",
                precision="fp32",
                file="student.onnx",
                tolerance=tolerance,
            )
        ],
    )


def _golden(pipeline: Pipeline, image: bytes) -> card_pb2.GoldenFrame:
    (answer,) = pipeline.detect([Frame(image)])
    assert not isinstance(answer, BadFrame)
    corners = zip(answer.boxes_xyxy_px, answer.class_ids, answer.scores, strict=True)
    return card_pb2.GoldenFrame(
        file="golden/1.jpg",
        detections=[
            card_pb2.GoldenDetection(
                x1=box[0], y1=box[1], x2=box[2], y2=box[3], class_id=int(kind), score=score
            )
            for box, kind, score in corners
        ],
    )


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> ArchiveBuilder:
    """Builds signed archives; `.public_key` is the key to trust."""
    folder = tmp_path_factory.mktemp("archives")
    return ArchiveBuilder(folder, sign.ensure_key(folder / "signing-key.pem"))


@pytest.fixture(scope="session")
def image() -> bytes:
    """A small JPEG."""
    return frame_image(seed=1)


@dataclass(frozen=True)
class Backend:
    """A running TorchServe and its clients.

    Attributes:
        server: The process.
        management: Speaks to it.
        inference: Speaks to it.
    """

    server: TorchServe
    management: ManagementClient
    inference: InferenceClient


@asynccontextmanager
async def open_backend(
    folder: Path, *, archives: Path | None = None, **config: Any
) -> AsyncIterator[Backend]:
    """Start a TorchServe of its own in `folder`, which loads from `archives` or its own folder."""
    archives = archives or folder / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    chosen = TorchServeConfig(archives=archives, folder=folder / "torchserve", **config)
    async with (
        TorchServe(chosen) as server,
        ManagementClient(server.management_url, server.management_token) as management,
        InferenceClient(server.inference_url, server.inference_token) as inference,
    ):
        yield Backend(server, management, inference)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    """One TorchServe for all tests; a controller that starts empties it of what others left."""
    async with open_backend(tmp_path_factory.mktemp("backend")) as opened:
        yield opened


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory, archives: ArchiveBuilder
) -> Iterator[Deployment]:
    """One whole deployment for all tests that change nothing of it.

    Its default route splits the cameras between teacher and student; route "solo" has one arm.
    """
    with deployed(tmp_path_factory.mktemp("served"), archives) as running:
        running.deploy("teacher")
        running.deploy("student")
        running.set_route("solo", student=100)
        running.set_route(teacher=50, student=50)
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def plane(tmp_path: Path, backend: Backend, archives: ArchiveBuilder) -> AsyncIterator[Plane]:
    """A fresh control plane before the shared TorchServe."""
    async with open_plane(tmp_path, [backend], archives) as opened:
        yield opened


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store in a new SQLite file."""
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.sqlite3'}") as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests that need one; where it is not installed they fail."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of a store in a new, empty database."""
    return postgres.new_database()
