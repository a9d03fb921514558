"""One TorchServe as the planes know it: a name and who speaks to it."""

from dataclasses import dataclass

from serving.torchserve.choices import Choices
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.worker_host import WorkerHost


@dataclass(frozen=True)
class Backend:
    """One TorchServe.

    Attributes:
        name: Unique in the deployment and the same after every restart: placements are kept by it.
        inference: Sends it frames.
        management: Registers and unregisters in it.
        choices: Reaches its workers' choice of variants; None: they are on another machine.
        host: That machine; None: it is this one.
    """

    name: str
    inference: InferenceClient
    management: ManagementClient
    choices: Choices | None = None
    host: WorkerHost | None = None
