"""A deployment with all that can happen to one, watched by a real Prometheus."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import grpc
import httpx
import numpy as np
import psutil
import pytest
import yaml
from prometheus_programs import prometheus, pushgateway

from distill_jobs.progress import Silent
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.pushed import PushedEpochs, run_pushed
from distill_jobs.tracking.pushgateway import Pushgateway
from distill_jobs.training.listening import EpochSeen
from proto.wire.v1 import detection_pb2 as wire
from serving.client.wire import open_channel, stub
from serving.tls.client_tls import ClientTls

REPOSITORY = Path(__file__).parents[4]
_CONFIG = REPOSITORY / "deploy" / "prometheus" / "prometheus.yml"
_PERIOD = "1s"
EPOCH = EpochSeen(
    title="distil student",
    epoch=0,
    epochs=14,
    step=10,
    losses={"box_loss": 1.5},
    validation={"map50": 0.5, "map50_95": 0.25},
    learning_rates=(0.01,),
    alpha=0.5,
    seconds=3.0,
    last=False,
    fixed_frames=lambda: (),
)
CAMERAS = 12
# A box of the teacher's is missing, one lies elsewhere: agreement is neither none nor whole.
_STUDENT_BOXES = ((21, 20, 16, 16, 0.7, 0.01), (10, 50, 8, 8, 0.6, 0.01))


@dataclass(frozen=True)
class Watched:
    """What a Prometheus has seen.

    Attributes:
        url: Of the Prometheus.
    """

    url: str

    def values(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query gave at any moment of the last minutes."""
        now = time.time()
        span = {"query": query, "start": now - 180, "end": now, "step": 2}
        return list(self.asked("query_range", span)["result"])

    def asked(self, what: str, parameters: dict[str, Any] | None = None) -> Any:
        """Ask the Prometheus; its errors are ours."""
        reply = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=30)
        assert reply.status_code == 200, f"{parameters}: {reply.text}"
        return reply.json()["data"]


@contextmanager
def watched(folder: Path, running: Any) -> Iterator[Watched]:
    """Run a Prometheus by the committed configuration; only addresses and pace are others.

    Args:
        folder: For its data.
        running: The deployment (`deployment.Deployment`).
    """
    with pushgateway(folder / "pushgateway") as gateway:
        push_jobs(folder, gateway)
        config = yaml.safe_load(_CONFIG.read_text())
        config["global"] = dict.fromkeys(config["global"], _PERIOD)
        config["rule_files"] = [str(_CONFIG.parent / one) for one in config["rule_files"]]
        ours, torchserve, jobs = config["scrape_configs"]
        address = running.addresses.metrics_url.removeprefix("http://").removesuffix("/metrics")
        ours["static_configs"] = [{"targets": [address]}]
        torchserve["http_sd_configs"] = [
            {"url": f"http://{address}/targets", "refresh_interval": _PERIOD}
        ]
        jobs["static_configs"] = [{"targets": [gateway.removeprefix("http://")]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with prometheus(folder / "prometheus", folder / "prometheus.yml") as url:
            yield Watched(url)


def push_jobs(folder: Path, gateway: str) -> None:
    """Push what a run of the demo's job pushes: two trainings, and what came of them."""
    run = RunFolder.create(folder / "run", REPOSITORY / "distill_jobs" / "demo" / "job.yaml", {})
    variant = {"name": "onnxruntime-int8", "file_bytes": 1, "map50": 0.9, "map50_95": 0.7}
    variant |= {"p50_ms": 12.0, "p99_ms": 20.0, "matched_f1": 0.99}
    for role in ("teacher", "student"):
        with run.step(role) as figures:
            figures.update(parameters=1000, train_seconds=60.0)
        with run.step(f"release-{role}") as figures:
            figures.update(map50=0.9, map50_95=0.7, variants=[variant])
    with environment("UNDERSTUDY_PUSHGATEWAY", gateway), run_pushed(run, Silent()):
        for role in ("teacher", "student"):
            listener = PushedEpochs(Pushgateway(gateway, run.job().name, Silent()), role)
            listener.epoch_ended(EPOCH)


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for the block: a fixture of a module has no monkeypatch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        yield


def noise(seed: int) -> bytes:
    """Return a small JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 255, (96, 96, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


WHITE = bytes(cv2.imencode(".png", np.full((96, 96, 3), 255, np.uint8))[1].tobytes())


class Trouble:
    """Traffic and trouble for a deployment; each method returns when its trouble is in the metrics.

    Args:
        running: The deployment.
        tls: Whom its certificate is signed by.
    """

    def __init__(self, running: Any, tls: ClientTls) -> None:
        self._running = running
        self._tls = tls
        self._stop = threading.Event()

    def set_up(self) -> None:
        """Deploy four releases, and give three routes their arms."""
        running = self._running
        running.deploy("teacher")
        running.deploy("student", boxes=_STUDENT_BOXES)
        running.deploy("fragile", fails_on_white=True)
        running.deploy("slow", batch_size=1, busy=12)
        self._route("default", {"teacher": 80, "student": 20}, shadow=("student", 1.0))
        self._route("fragile", {"fragile": 100, "teacher": 0}, fallback=("teacher", 0.3))
        self._route("slow", {"slow": 100})
        words = [{"id": f"cam-{number}", "group": "gate", "expected_fps": 5} for number in range(4)]
        unheard = {"id": "unheard", "group": "yard", "expected_fps": 5}
        running.admin("PUT", "/cameras", [*words, unheard])
        running.admin("POST", "/keys", {"name": "soon", "scope": "detect", "expires_in_days": 3})
        hold = {"seconds": 3600, "cameras": 5, "samples": 1}
        plan = {"route": "default", "arm": "student", "stages": [40, 80], "hold": hold}
        plan |= {"guardrails": {"min_agreement": 0.05, "max_p99_ratio": 100}}
        running.admin("POST", "/rollouts", plan)

    def _route(
        self,
        name: str,
        weights: dict[str, float],
        *,
        shadow: tuple[str, float] | None = None,
        fallback: tuple[str, float] | None = None,
    ) -> None:
        body: dict[str, Any] = {
            "arms": [
                {"name": model, "release": f"{model}-1.0", "weight": weight}
                for model, weight in weights.items()
            ],
            "why": "test",
        }
        if shadow is not None:
            body["shadow"] = {"arm": shadow[0], "rate": shadow[1]}
        if fallback is not None:
            body["fallback"] = {"arm": fallback[0], "budget": fallback[1]}
        self._running.admin("PUT", f"/routes/{name}", body)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Have cameras send frames for as long as the block runs; none of these may fail."""
        with ThreadPoolExecutor() as threads:
            sending = [threads.submit(self._send, place) for place in range(3)]
            try:
                yield
            finally:
                self._stop.set()
            for one in sending:
                one.result()

    def _send(self, place: int) -> None:
        images = [noise(seed) for seed in range(5)]
        with httpx.Client(headers=self._running.bearer, timeout=60) as client:
            number = 0
            while not self._stop.wait(0.05):
                number += 1
                camera = f"cam-{(place + 3 * number) % CAMERAS}"
                for route in ("default", "fragile"):
                    reply = client.post(
                        f"{self._running.addresses.http_url}/v1/detect",
                        params={"camera_id": camera, "route": route},
                        content=images[number % 5],
                        headers={"Content-Type": "image/jpeg"},
                    )
                    assert reply.status_code in {200, 503}, reply.text

    def failing(self) -> None:
        """Have an arm fail until another stands in for it, and until that one may not."""

        def done() -> bool:
            for number in range(4):
                self._running.detect(WHITE, camera_id=f"cam-{number}", route="fragile")
            self._running.detect(b"junk", camera_id="cam-0")
            text = self._running.metrics()
            told = ("understudy_fallbacks_total{", "understudy_fallbacks_refused_total{")
            return all(one in text for one in told)

        self._running.until(done, timeout_s=60)

    def too_much(self) -> None:
        """Send a slow arm more than it can answer, by a stream, with short deadlines, at once."""
        with open_channel(self._running.addresses.grpc_address, self._tls) as channel:
            asked = stub(channel)
            key = (("authorization", f"Bearer {self._running.key}"),)
            frames = [
                wire.DetectRequest(
                    image=noise(0), camera_id="cam-live", frame_id=str(number), route="slow"
                )
                for number in range(40)
            ]
            for _ in asked.DetectStream(iter(frames), metadata=key, timeout=60):
                pass

            def hurried(number: int) -> None:
                request = wire.DetectRequest(
                    image=noise(0), camera_id=f"cam-{number}", route="slow"
                )
                # By the gateway's own clock: it has to say so, and is not left before it can.
                with contextlib.suppress(grpc.RpcError):
                    asked.Detect(request, metadata=(*key, ("x-timeout-ms", "40")), timeout=60)

            def done() -> bool:
                list(threads.map(hurried, range(80)))
                text = self._running.metrics()
                told = (
                    'outcome="dropped"',
                    'code="overloaded"',
                    "understudy_expired_frames_total{",
                )
                return all(one in text for one in told)

            with ThreadPoolExecutor(40) as threads:
                self._running.until(done, timeout_s=60)

    def killed_worker(self) -> None:
        """Kill a worker under its frames: they are tried again, and TorchServe starts another."""

        def workers() -> set[int]:
            children = psutil.Process(self._running.pid("torchserve-1")).children(recursive=True)
            with contextlib.suppress(psutil.NoSuchProcess):
                return {one.pid for one in children if _is_worker(one)}
            return set()

        victim = min(workers())
        psutil.Process(victim).send_signal(signal.SIGKILL)
        self._tells("understudy_worker_restarts_total{", lambda line: not line.endswith(" 0.0"))
        self._tells("understudy_retries_total{")

    def looked_at(self) -> None:
        """Wait until the rollout's guardrails and the shadow have seen something."""
        for told in ("understudy_guardrail_estimate{", "understudy_harvest_frames_total{"):
            self._tells(told)

    def moved(self) -> None:
        """Change a route: it was read before, or nobody would see that it changes."""
        self._route("slow", {"slow": 90, "teacher": 10})

    def _tells(self, told: str, which: Callable[[str], bool] = bool) -> None:
        def does() -> bool:
            lines = self._running.metrics().splitlines()
            return any(told in line and which(line) for line in lines if line[0] != "#")

        try:
            self._running.until(does, timeout_s=60)
        except AssertionError as error:
            raise AssertionError(f"no series tells {told}") from error


def _is_worker(process: psutil.Process) -> bool:
    return any("model_service_worker" in word for word in process.cmdline())


@contextmanager
def watched_fleet(folder: Path, running: Any, tls: ClientTls) -> Iterator[Watched]:
    """Have everything happen to a deployment while a Prometheus watches it.

    Args:
        folder: For the Prometheus.
        running: The deployment; whoever asks it over HTTP trusts it already.
        tls: Whom its certificate is signed by.
    """
    trouble = Trouble(running, tls)
    with ExitStack() as stack:
        trouble.set_up()
        seen = stack.enter_context(watched(folder, running))
        stack.enter_context(trouble.traffic())
        trouble.failing()
        trouble.too_much()
        trouble.killed_worker()
        trouble.looked_at()
        trouble.moved()
        until_scraped(seen)
        yield seen


def until_scraped(seen: Watched) -> None:
    """Wait until the Prometheus has read what there is now, and its rules have gone by it."""
    after = time.time()
    give_up_at = time.monotonic() + 60
    question = {"query": "min(timestamp(arm:understudy_agreement_f1:mean_rate5m))"}
    while True:
        found = seen.asked("query", question)["result"]
        if found and float(found[0]["value"][1]) > after + 5:
            return
        assert time.monotonic() < give_up_at, "the rules tell nothing"
        time.sleep(0.2)
