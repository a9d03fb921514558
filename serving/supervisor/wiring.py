"""What the supervisor hands a child over its standard input: nobody else may read it there."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.settings import Settings


class Role(StrEnum):
    """What a child is."""

    GATEWAY = "gateway"
    CONTROLLER = "controller"


class BackendPlace(BaseModel):
    """Where a TorchServe is.

    Attributes:
        name: As in the store: torchserve-1.
        inference_url: Where frames go.
        management_url: Where models are registered.
        token_file: Written by it at each of its starts; None: it is on another machine, and
            `management_url` is the door of `serving.worker`.
        choices: Folder of its workers' choices of variants; None: likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    inference_url: str
    management_url: str
    token_file: Path | None = None
    choices: Path | None = None


class Wiring(BaseModel):
    """Everything a child needs to know.

    Attributes:
        role: What it is.
        name: For people, the same at every start: gateway-1.
        id: A gateway's in the store, new at every start; the controller's as holder of the lease,
            the same at every start, so that the next one takes over at once.
        settings: What the operator wants.
        backends: Every TorchServe of the deployment.
        listener: Descriptor of its listening socket: cameras' HTTP, or the admin API's.
        grpc_host: What a gateway's gRPC binds, as a number.
        grpc_port: Held by the supervisor, shared by the gateways.
    """

    # An error would quote it, shortened so that no password in it is known for one.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    role: Role
    name: str
    id: str
    settings: Settings
    backends: tuple[BackendPlace, ...]
    listener: int
    grpc_host: str
    grpc_port: int
