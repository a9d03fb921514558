"""The admin API's cameras: what traffic has shown and the operator expects."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from serving.api.admin_models import Message
from serving.errors import InvalidField, UnknownCamera
from serving.store.observations import LEAST_SILENCE_S, SILENT_PERIODS, Camera, Sighting
from serving.store.store import Store
from serving.store.values import ApiKey, Number

MOST_AT_ONCE = 10_000

Caller = Callable[[Request], Awaitable[ApiKey]]
# As in `Camera`: it may hold a slash.
CameraId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]


class CameraWords(Message):
    """What the operator says of a camera."""

    group: str = Field(default="", max_length=64, examples=["north gate"])
    expected_fps: Number | None = Field(
        default=None, gt=0, le=1000, description="frames a second; null: none are expected"
    )
    note: str = Field(default="", max_length=1000)


class NamedCameraWords(CameraWords):
    """The same, of the camera that it names."""

    id: str = Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")


class CameraInfo(CameraWords):
    """A camera as it is known."""

    id: str
    first_seen: datetime | None = Field(description="null: no frame of it came yet")
    last_seen: datetime | None
    silent: bool = Field(
        description=f"frames are expected, and none came for {SILENT_PERIODS} of their periods, "
        f"{LEAST_SILENCE_S:g} s at least"
    )

    @classmethod
    def of(cls, camera: Camera, now: datetime) -> Self:
        """Return what is told of a camera at a time of the store's clock."""
        return cls(**camera.model_dump(), silent=is_silent(camera, now))


def is_silent(camera: Camera, now: datetime) -> bool:
    """Whether frames of a camera are expected and do not come."""
    return Sighting(camera.group, camera.expected_fps, camera.last_seen).is_silent(now)


def cameras_router(store: Store, operator: Caller) -> APIRouter:
    """Return the routes below /cameras.

    Args:
        store: Where cameras are kept.
        operator: Yields the caller's key or refuses the request.
    """
    router = APIRouter(prefix="/cameras", tags=["cameras"])

    @router.get("")
    async def list_cameras(
        _: Annotated[ApiKey, Depends(operator)],
        group: Annotated[str | None, Query(description="only of this group")] = None,
        silent: Annotated[
            bool | None, Query(description="only silent ones, or only others")
        ] = None,
    ) -> list[CameraInfo]:
        """Every camera that traffic or the operator has made known, by id."""
        now = await store.now()
        told = [CameraInfo.of(camera, now) for camera in await store.cameras()]
        return [
            one
            for one in told
            if (group is None or one.group == group) and (silent is None or one.silent == silent)
        ]

    @router.put("")
    async def put_cameras(
        wanted: Annotated[list[NamedCameraWords], Field(max_length=MOST_AT_ONCE)],
        caller: Annotated[ApiKey, Depends(operator)],
    ) -> list[CameraInfo]:
        """Describe several cameras, all or none; those that are not named stay as they are."""
        _refuse_twice(wanted)
        await store.put_cameras([Camera(**one.model_dump()) for one in wanted])
        await store.audit(caller.name, "camera.import", "cameras", f"{len(wanted)} cameras")
        now, named = await store.now(), {one.id for one in wanted}
        return [CameraInfo.of(one, now) for one in await store.cameras() if one.id in named]

    _add_single(router, store, operator)
    return router


def _add_single(router: APIRouter, store: Store, operator: Caller) -> None:
    @router.get("/{camera_id:path}")
    async def show_camera(
        camera_id: CameraId, _: Annotated[ApiKey, Depends(operator)]
    ) -> CameraInfo:
        """One camera."""
        return await _info(store, camera_id)

    @router.put("/{camera_id:path}")
    async def put_camera(
        camera_id: CameraId, wanted: CameraWords, caller: Annotated[ApiKey, Depends(operator)]
    ) -> CameraInfo:
        """Describe a camera, known or not; when it was seen stays as it is."""
        await store.put_camera(Camera(id=camera_id, **wanted.model_dump()))
        await store.audit(caller.name, "camera.put", camera_id, _told(wanted))
        return await _info(store, camera_id)

    @router.delete("/{camera_id:path}")
    async def forget_camera(
        camera_id: CameraId, caller: Annotated[ApiKey, Depends(operator)]
    ) -> CameraInfo:
        """Forget a camera; its next frame makes it known again, without the operator's words."""
        known = await _info(store, camera_id)
        await store.forget_camera(camera_id)
        await store.audit(caller.name, "camera.forget", camera_id, "")
        return known


async def _info(store: Store, camera_id: str) -> CameraInfo:
    camera = await store.camera(camera_id)
    if camera is None:
        raise UnknownCamera(
            "id", f"id: no camera {camera_id!r} is known; `understudy cameras list` shows them all"
        )
    return CameraInfo.of(camera, await store.now())


def _refuse_twice(wanted: Sequence[NamedCameraWords]) -> None:
    seen: set[str] = set()
    for place, one in enumerate(wanted):
        if one.id in seen:
            raise InvalidField(f"{place}.id", f"{place}.id: {one.id!r} is named twice")
        seen.add(one.id)


def _told(wanted: CameraWords) -> str:
    fps = "none" if wanted.expected_fps is None else f"{wanted.expected_fps:g} frames/s"
    return f"group {wanted.group!r}, expected {fps}, note {wanted.note!r}"
