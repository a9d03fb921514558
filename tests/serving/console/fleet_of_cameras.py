"""Cameras that send a frame twice a second until they are told to stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
from deployment import Deployment

_EVERY_S = 0.5


@contextmanager
def sending(stack: Deployment, image: bytes, *, cameras: int) -> Iterator[None]:
    """Keep cameras gate-1 to gate-N sending the same image."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_send, args=(stack, image, f"gate-{number}", over))
        for number in range(1, cameras + 1)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _send(stack: Deployment, image: bytes, camera: str, over: threading.Event) -> None:
    with httpx.Client(
        base_url=stack.addresses.http_url,
        headers=stack.bearer | {"Content-Type": "image/jpeg"},
        timeout=30,
    ) as client:
        while not over.wait(_EVERY_S):
            with suppress(httpx.HTTPError):
                client.post("/v1/detect", params={"camera_id": camera}, content=image)
