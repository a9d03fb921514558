"""A file that says where a running server listens: awaited by scripts, the demo and tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.whole_file import write_whole


class Addresses(BaseModel):
    """Where everything is.

    Attributes:
        http_url: For cameras; "" where no gateway runs here.
        grpc_address: For cameras, HOST:PORT; likewise.
        admin_url: For operators; "" where no controller runs here.
        worker_url: For the controller; "" unless this is a worker alone.
        metrics_url: Every process's of ours, for Prometheus.
        torchserve_metrics_url: The first TorchServe's own; "" where none runs here.
        torchserve_metrics_urls: Each TorchServe's own.
        admin_key_file: Where the first start wrote the admin key; None where no controller runs.
        pid: Process id of the supervisor.
        processes: Ids of the processes below it as they were at the start; STATE_DIR/processes.json
            follows them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    http_url: str = ""
    grpc_address: str = ""
    admin_url: str = ""
    worker_url: str = ""
    metrics_url: str = ""
    torchserve_metrics_url: str = ""
    torchserve_metrics_urls: tuple[str, ...] = ()
    admin_key_file: Path | None = None
    pid: int
    processes: dict[str, int]


@contextmanager
def ready_file(path: Path | None, addresses: Addresses) -> Iterator[None]:
    """Keep the file there, whole from its first moment, for as long as the block runs."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, addresses.model_dump_json(indent=2) + "\n", mode=0o644)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
