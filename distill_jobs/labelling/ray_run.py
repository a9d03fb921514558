"""Shards labelled by Ray Data: on a cluster, or on the cores of this machine.

Each shard is a task of its own that leaves one file behind. A task whose node died is done again on
another, and one whose file is there already costs nothing; so what is lost is a shard a worker.
"""

import logging
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from distill_jobs.environment import offline
from distill_jobs.errors import JobError
from distill_jobs.labelling.plan import LabelFolder, Plan, Shard
from distill_jobs.labelling.shard import Counts, label_shard

if TYPE_CHECKING:
    from types import ModuleType

# Rows of a few numbers are all that goes through it.
_OBJECT_STORE_BYTES = 128 * 1024 * 1024
# A frame that kills its worker must not be tried for ever; a node that dies costs a try too.
_TRIES = 5
_HEAD_ANSWERS_S = 5.0


@dataclass(frozen=True)
class Cluster:
    """Where it runs.

    Attributes:
        address: HOST:PORT of a Ray cluster's head, or "auto"; None: this machine alone.
        workers: Teachers at once; None: one a GPU where there are any, else one a core.
        teachers_a_gpu: How many share a GPU: one decodes while another looks.
    """

    address: str | None = None
    workers: int | None = None
    teachers_a_gpu: int = 2


def label_on_ray(
    folder: LabelFolder,
    plan: Plan,
    shards: Sequence[Shard],
    cluster: Cluster,
    finished: Callable[[Counts], None],
) -> None:
    """Label shards; returns when all are finished.

    Args:
        folder: Seen under the same path by every machine.
        plan: What is labelled by whom.
        shards: Those that are left.
        cluster: Where.
        finished: Told of each, in the order in which they are.

    Raises:
        JobError: The teacher cannot be used, or Ray gave up; what was finished is kept.
    """
    with _connected(cluster) as ray:
        import ray.data  # noqa: PLC0415  # heavy

        def label(row: dict[str, Any]) -> dict[str, Any]:
            try:
                return asdict(label_shard(folder, plan, Shard(**row)))
            except JobError as error:
                return {"error": error.message}

        _be_quiet(ray.data.DataContext.get_current())
        rows = ray.data.from_items([asdict(one) for one in shards], override_num_blocks=len(shards))
        gpus = 1 / cluster.teachers_a_gpu if plan.asked.device == "cuda" else None
        strategy = ray.data.TaskPoolStrategy(size=cluster.workers)
        with warnings.catch_warnings():
            # Ray 2.60 has no other way to say it, and would try for ever.
            warnings.simplefilter("ignore", category=ray.util.annotations.RayDeprecationWarning)
            labelled = rows.map(
                label,
                compute=strategy,
                num_cpus=1,
                num_gpus=gpus,
                ray_remote_args_fn=lambda: {"max_retries": _TRIES},
            )
        try:
            for row in labelled.iter_rows():
                if row.get("error"):
                    raise JobError(row["error"])
                finished(Counts(row["frames"], row["broken"], row["objects"]))
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise JobError(
                f"Ray gave up: {reason}. What was finished is kept: give the same command again"
            ) from error


def _be_quiet(context: Any) -> None:
    """Leave the terminal to our own progress; what goes wrong is told all the same."""
    context.enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        handler.setLevel(logging.ERROR)


@contextmanager
def _connected(cluster: Cluster) -> "Iterator[ModuleType]":
    """Start Ray on the loopback interface, or join a cluster; nothing is reported to anybody."""
    offline()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if cluster.address is None:
        # Read when Ray is imported. Else it makes one token for all clusters of this user, and
        # leaves it in the home folder; and listens on every address, whatever it was told.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray  # noqa: PLC0415  # an extra of its own
    except ModuleNotFoundError as error:
        raise JobError(
            "Ray is not installed: pip install --constraint requirements.lock "
            "'understudy[distill,label]'"
        ) from error
    scratch = tempfile.mkdtemp(prefix="understudy-ray-")
    options = _alone(cluster, scratch) if cluster.address is None else _joined(cluster.address)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        yield ray
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise _nobody(cluster.address) from error
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _alone(cluster: Cluster, scratch: str) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": cluster.workers or len(os.sched_getaffinity(0)),
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": scratch,
    }


def _joined(address: str) -> dict[str, Any]:
    """Return how to join a cluster whose head answers: Ray itself asks for many minutes.

    Raises:
        JobError: Nobody answers there.
    """
    if address == "auto":
        return {"address": address}
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_HEAD_ANSWERS_S).close()
    except (OSError, ValueError) as error:
        raise _nobody(address) from error
    # Ray would look for its part of this machine at the address that others reach it by.
    here = {"_node_ip_address": host} if host.startswith("127.") else {}
    return {"address": address, **here}


def _nobody(address: str | None) -> JobError:
    return JobError(
        f"--ray-address: no Ray cluster answers at {address}, or not to this RAY_AUTH_TOKEN; "
        "`ray start --head` tells its HOST:PORT"
    )
