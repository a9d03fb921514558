"""Cameras of whichever deployment a module's `alone` is."""

from collections.abc import Iterator

import pytest
from cameras_that_watch import Cameras, cameras
from deployment import Deployment


@pytest.fixture
def watching(alone: Deployment, image: bytes) -> Iterator[Cameras]:
    """Send frames from before a fault until the test's end; all are answered when it begins."""
    with cameras(alone, image).sending() as sending:
        sending.until_all_answered()
        sending.answers.clear()
        yield sending
