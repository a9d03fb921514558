"""Warming: before a release takes traffic, its workers answer the golden frames, rightly."""

import asyncio
from collections import defaultdict

from proto.wire.v1 import card_pb2
from serving.boxes import Boxes
from serving.controlplane import golden
from serving.controlplane.archives import Archive
from serving.errors import (
    BackendUnavailable,
    DeployFailed,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
)
from serving.store.values import AUTO, Release
from serving.torchserve.inference import InferenceClient, WorkerReply

# TorchServe hands a frame to whichever worker is free, so one at a time would meet one worker
# only; several at once, several times, meet them all, and run batches of more than one.
_ROUNDS = 2
_AT_ONCE_A_WORKER = 2
_TIMEOUT_S = 60.0
# What was killed under a frame says nothing about the release.
_NO_FAULT_OF_THE_RELEASE = (BackendUnavailable, StaleRoute, WorkerDied)

_Answers = dict[str, list[tuple[Boxes, Boxes]]]


async def warm(archive: Archive, release: Release, inference: InferenceClient) -> None:
    """Send the golden frames and compare the answers with the card's.

    Args:
        archive: Of the release, which TorchServe has loaded.
        release: On how many processes it runs, and which variant it is to serve.
        inference: Reaches them.

    Raises:
        DeployFailed: A worker failed, or answered otherwise than the card allows.
        BackendUnavailable: TorchServe went down meanwhile.
        StaleRoute: It was started anew meanwhile.
        WorkerDied: A worker's process ended meanwhile.
    """
    frames = [(frame, await _image(archive, frame)) for frame in archive.card.golden_frames]
    answers: _Answers = defaultdict(list)
    threads: set[int | None] = set()
    for _ in range(_ROUNDS):
        batch = [pair for pair in frames for _ in range(release.workers * _AT_ONCE_A_WORKER)]
        replies = await asyncio.gather(
            *(_ask(archive, inference, frame, image) for frame, image in batch)
        )
        for (frame, _image_bytes), reply in zip(batch, replies, strict=True):
            answers[reply.variant].append((golden.expected(frame), golden.found(reply)))
            threads.add(reply.threads)
    _is_as_asked(release, answers, threads)
    _compare(archive.card, answers)


async def _image(archive: Archive, frame: card_pb2.GoldenFrame) -> bytes:
    return await asyncio.to_thread(archive.golden_image, frame)


async def _ask(
    archive: Archive, inference: InferenceClient, frame: card_pb2.GoldenFrame, image: bytes
) -> WorkerReply:
    try:
        return await inference.predict(archive.key, image, timeout_s=_TIMEOUT_S)
    except _NO_FAULT_OF_THE_RELEASE:
        raise
    except UnderstudyError as error:
        raise DeployFailed(
            f"golden frame {frame.file} was not answered: {error.message}"
        ) from error


def _is_as_asked(release: Release, answers: _Answers, threads: set[int | None]) -> None:
    cannot_be_told = (
        "this archive's code cannot be told, or its TorchServe runs elsewhere; build it anew, or "
        "deploy it without"
    )
    others = sorted(answers.keys() - {release.variant})
    if release.variant != AUTO and others:
        raise DeployFailed(
            f"variant: {release.variant} was asked for and {', '.join(others)} answered: "
            f"{cannot_be_told} a variant"
        )
    if release.threads is not None and threads - {release.threads}:
        raise DeployFailed(
            f"threads: {release.threads} were asked for and not all workers heed it: "
            f"{cannot_be_told} threads"
        )


def _compare(card: card_pb2.Card, answers: _Answers) -> None:
    tolerances = {variant.name: variant.tolerance for variant in card.variants}
    for variant, pairs in answers.items():
        if variant not in tolerances:
            raise DeployFailed(f"variant {variant!r} answered, which the card does not list")
        tolerance = tolerances[variant]
        reached = golden.f1(pairs, tolerance)
        if reached < tolerance.min_f1:
            raise DeployFailed(
                f"golden frames: {variant} reached F1 {reached:.3f} against the card's answers "
                f"and must reach {tolerance.min_f1:.3f} (IoU from {tolerance.min_iou:.2f}, scores "
                f"within {tolerance.max_score_difference:.3f}): this machine does not compute "
                "what the archive's builder did"
            )
