"""Who is in the fleet: names, identities and wiring of every process, of the settings."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import serving
from serving.settings import Settings
from serving.supervisor.crew_places import far_place
from serving.supervisor.fleet import Fleet
from serving.supervisor.gateway_rows import GatewayRows
from serving.supervisor.ports import Ports
from serving.supervisor.supervised import START_TIMEOUT_S, Supervised
from serving.supervisor.wiring import BackendPlace, Role, Wiring
from serving.torchserve import tokens
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.process import TorchServe

# The controller serves once every backend was looked at and, where it came back empty, filled.
_START_TIMEOUTS_S = {Role.GATEWAY: START_TIMEOUT_S, Role.CONTROLLER: 900.0}
_PROGRAM = (sys.executable, "-m", "serving.supervisor.child")
# `-m` looks there first: a child runs the code that we run, wherever we were started.
_PROGRAM_FOLDER = Path(serving.__file__).parents[1]


def crew(
    settings: Settings,
    ports: Ports,
    *,
    lock: int,
    instance: str,
    rows: GatewayRows,
    changed: Callable[[], None],
) -> Fleet:
    """Return everything that `settings` ask for; nothing of it runs yet.

    Args:
        settings: What the operator wants.
        ports: Ours.
        lock: Descriptor of the state folder's lock; the children hold it too.
        instance: The deployment's own name on its store.
        rows: Of the gateways.
        changed: Called each time a process has started or ended.
    """
    settings.archives.mkdir(mode=0o700, parents=True, exist_ok=True)
    backends = {} if settings.workers else _backends(settings)
    places = tuple(_place(name, backend) for name, backend in backends.items())
    places += tuple(far_place(settings, host) for host in settings.worker_hosts)
    grpc_host, grpc_port, *_ = ports.grpc.getsockname() if ports.grpc is not None else ("", 0)

    def child(role: Role, name: str, listener: int, id_of: Callable[[int], str]) -> Supervised:
        wiring = Wiring(
            role=role,
            name=name,
            id="",
            settings=settings,
            backends=places,
            listener=listener,
            grpc_host=grpc_host,
            grpc_port=grpc_port,
        )
        return Supervised(
            name,
            _PROGRAM,
            hello=lambda start: _line(wiring, id_of(start)),
            kept=(listener, lock),
            folder=_PROGRAM_FOLDER,
            start_timeout_s=_START_TIMEOUTS_S[role],
            ended=partial(rows.ended, name) if role is Role.GATEWAY else _nothing,
            changed=changed,
        )

    def holder(_start: int) -> str:
        # The same at every start: the next controller need not wait for the last one's lease.
        return f"controller@{instance}"

    def controller(listener: int) -> Supervised:
        return child(Role.CONTROLLER, "controller", listener, holder)

    def gateway(name: str, listener: int) -> Supervised:
        return child(Role.GATEWAY, name, listener, partial(rows.id_of, name))

    names = [f"gateway-{number}" for number in range(1, settings.gateways + 1)]
    http, admin = ports.http, ports.admin
    return Fleet(
        backends=backends,
        controller=None if admin is None else controller(admin.fileno()),
        gateways=[gateway(one, http.fileno()) for one in names] if http is not None else [],
        stop_timeout_s=settings.stop_timeout_s,
        changed=changed,
    )


def _backends(settings: Settings) -> Mapping[str, TorchServe]:
    names = [f"torchserve-{number}" for number in range(1, settings.backends + 1)]
    return {
        name: TorchServe(
            TorchServeConfig(
                archives=settings.archives,
                folder=settings.state_dir / name,
                max_image_bytes=settings.request_bytes,
                choices_folder=settings.state_dir / "choices",
            )
        )
        for name in names
    }


def _place(name: str, backend: TorchServe) -> BackendPlace:
    return BackendPlace(
        name=name,
        inference_url=backend.inference_url,
        management_url=backend.management_url,
        token_file=backend.config.folder / tokens.FILE_NAME,
        choices=backend.config.choices.folder,
    )


def _line(wiring: Wiring, id_: str) -> str:
    return wiring.model_copy(update={"id": id_}).model_dump_json()


def _nothing(_start: int) -> None:
    pass
