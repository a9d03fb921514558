"""Start Triton's server, from the package nvidia-pytriton, on one Python model.

`tritonserver` is started directly, and not through `pytriton.triton`, which would put a second
process and two more copies of each image between server and model.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

_CONFIG = """\
name: "detector"
backend: "python"
max_batch_size: {max_batch}
input [{{ name: "IMAGE", data_type: TYPE_STRING, dims: [1] }}]
output [{{ name: "DETECTIONS", data_type: TYPE_STRING, dims: [1] }}]
dynamic_batching {{ }}
instance_group [{{ kind: KIND_CPU, count: {workers} }}]
"""


def main() -> None:
    """Lay out the model repository and become the server."""
    here = Path(__file__).parent
    sys.path.insert(0, str(here.parent))
    from detector import PeerSettings  # noqa: PLC0415 - found there alone

    settings, work = PeerSettings.read(), Path(sys.argv[1])
    packages = Path(sysconfig.get_path("purelib"))
    home = packages / "pytriton" / "tritonserver"
    backends, repository = work / "backends", work / "models"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(home / "backends", backends)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = home / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    (repository / "detector" / "1").mkdir(parents=True)
    shutil.copy(here / "model.py", repository / "detector" / "1")
    config = _CONFIG.format(max_batch=settings.max_batch, workers=settings.workers)
    (repository / "detector" / "config.pbtxt").write_text(config)
    server = home / "bin" / "tritonserver"
    arguments = [
        str(server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--http-address=127.0.0.1",
        f"--http-port={settings.port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--disable-auto-complete-config",
    ]
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "BENCH_PEER_PACKAGES": str(packages),  # for model.py
        "BENCH_PEERS": str(here.parent),
    }
    os.execve(server, arguments, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
