"""What the console is given: the control plane that it acts through, and what it reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.access.authenticator import Authenticator
from serving.console.watch import Watch
from serving.controlplane.controller import Controller
from serving.controlplane.rollout_routes import Pick
from serving.store.store import Store
from serving.torchserve.backend import Backend


@dataclass(frozen=True)
class Services:
    """What pages work with.

    Attributes:
        controller: Moves releases and routes.
        store: Read directly where nothing moves.
        authenticator: Checks a session's key again before each act.
        backends: Answer the frames that an operator compares two releases on.
        model_store: Where archives and their reports lie.
        harvest_dir: Where frames are kept on which arms disagree; None: none are.
        image_limit_bytes: Largest encoded image that the server takes here.
        pick: Which arm of a route answers a camera.
        watch: The deployment and its routes' traffic.
    """

    controller: Controller
    store: Store
    authenticator: Authenticator
    backends: Sequence[Backend]
    model_store: Path
    harvest_dir: Path | None
    image_limit_bytes: int
    pick: Pick
    watch: Watch
