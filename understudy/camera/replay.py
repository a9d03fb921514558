"""Sends a source's frames over a gRPC stream and draws the answers as they come."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from proto.wire.v1 import detection_pb2 as wire
from serving.client import AsyncDetectClient
from serving.errors import UnderstudyError
from serving.tls.client_tls import ClientTls
from understudy.camera.film import Film
from understudy.camera.source import Shot, SourceInvalid, count, shots

__all__ = ["Replay", "Seen", "SourceInvalid", "replay"]


@dataclass(frozen=True)
class Replay:
    """What to send where.

    Attributes:
        source: A video, an image or a folder of images.
        fps: Frames a second.
        address: HOST:PORT of a gateway's gRPC listener, or several separated by commas.
        key: API key, or None where the server asks for none.
        camera_id: Who we are.
        frames: At most so many; None: all.
        output: Video of the answers.
        min_score: Lowest score; None: the card's operating thresholds.
        tls: Whom to trust and who we are; None: in clear, or whom this machine trusts.
    """

    source: Path
    fps: float
    address: str
    key: str | None
    camera_id: str
    frames: int | None
    output: Path
    min_score: float | None
    tls: ClientTls | None = None


@dataclass
class Seen:
    """What came back so far.

    Attributes:
        latencies_s: From sending a frame to its answer.
        answered_by: Frames by who answered.
        labels: Detections by label.
        dropped: Frames that a newer one overtook, at the server or for want of a connection.
        errors: Frames by the error they were told.
        reconnects: Times that the stream connected again, by the reason.
        ended: Why the stream ended before the source did, "" if it did not.
    """

    latencies_s: list[float] = field(default_factory=list)
    answered_by: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    reconnects: Counter[str] = field(default_factory=Counter)
    ended: str = ""

    @property
    def failed(self) -> int:
        """Frames that were answered by an error, or not at all because the stream ended."""
        return self.errors.total() + bool(self.ended)

    def note(self, answer: wire.DetectResponse, latency_s: float) -> None:
        """Count one answer."""
        if answer.HasField("error"):
            self.errors[answer.error.message] += 1
            return
        if answer.dropped:
            self.dropped += 1
            return
        by = answer.answered_by
        self.latencies_s.append(latency_s)
        self.answered_by[f"{by.arm}: {by.model} {by.version} ({by.variant})"] += 1
        self.labels.update(one.label for one in answer.detections)

    def note_reconnect(self, error: UnderstudyError, pause_s: float) -> None:
        """Count one end of the connection, after which it is made again in `pause_s` seconds."""
        self.reconnects[error.message] += 1

    def tell(self, console: Console, output: Path) -> None:
        """Print what a person wants to know, on 80 columns."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_row("frames answered", str(len(self.latencies_s)))
        if self.latencies_s:
            p50, p99 = np.percentile(np.array(self.latencies_s) * 1000, (50, 99))
            table.add_row("frame to answer", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        for who, frames in self.answered_by.most_common():
            table.add_row("answered by", f"{who}, {frames} frames")
        found = ", ".join(f"{number} {label}" for label, number in self.labels.most_common(8))
        table.add_row("detections", found or "none")
        table.add_row("drawn", str(output))
        if self.dropped:
            table.add_row("dropped", f"{self.dropped} frames, overtaken by newer ones")
        for why, times in self.reconnects.items():
            table.add_row("reconnected", f"{times} times: {why}")
        for error, frames in self.errors.items():
            table.add_row("[red]failed[/red]", f"{frames} frames: {error}")
        if self.ended:
            table.add_row("[red]ended early[/red]", self.ended)
        console.print(table)


async def replay(wanted: Replay, console: Console) -> Seen:
    """Send the source's frames and draw the answers.

    Returns:
        What came back.

    Raises:
        SourceInvalid: The source is missing or holds no picture.
        UnderstudyError: The server refused the stream, or does not answer.
    """
    frames = shots(wanted.source, wanted.fps)
    expected = count(wanted.source, wanted.fps)
    if expected is not None and wanted.frames is not None:
        expected = min(expected, wanted.frames)
    under_way: deque[tuple[Shot, float]] = deque()
    broken: list[SourceInvalid] = []
    seen = Seen()
    with _bar(console) as progress, Film(wanted.output, wanted.fps) as film:
        task = progress.add_task(wanted.source.name, total=expected)
        try:
            async with AsyncDetectClient(wanted.address, wanted.key, tls=wanted.tls) as client:
                requests = _requests(wanted, frames, under_way, broken)
                async for answer in client.live(requests, reconnecting=seen.note_reconnect):
                    # Answers come in the order of the requests.
                    shot, sent_at_s = under_way.popleft()
                    seen.note(answer, time.perf_counter() - sent_at_s)
                    await asyncio.to_thread(film.add, shot.picture, answer)
                    progress.advance(task)
        except UnderstudyError as error:
            if not seen.latencies_s:
                raise
            seen.ended = error.message  # what was drawn so far is worth keeping
        if broken:
            raise broken[0]
        progress.update(task, total=progress.tasks[task].completed)
    return seen


async def _requests(
    wanted: Replay,
    frames: Iterator[Shot],
    under_way: deque[tuple[Shot, float]],
    broken: list[SourceInvalid],
) -> AsyncIterator[wire.DetectRequest]:
    """Yield the frames at their pace.

    Each is noted in `under_way` as it goes out. A frame that cannot be read ends the stream and is
    noted in `broken`: what was answered until then is drawn first.
    """
    start_s = time.perf_counter()
    number = 0
    while wanted.frames is None or number < wanted.frames:
        try:
            shot = await asyncio.to_thread(next, frames, None)
        except SourceInvalid as error:
            broken.append(error)
            return
        if shot is None:
            return
        due_s = start_s + number / wanted.fps
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        request = wire.DetectRequest(
            image=shot.encoded, camera_id=wanted.camera_id, frame_id=str(number)
        )
        request.capture_time.GetCurrentTime()
        if wanted.min_score is not None:
            request.min_score = wanted.min_score
        under_way.append((shot, time.perf_counter()))
        yield request
        number += 1


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<30}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
