"""Start BentoML's server on `service.py`."""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).parent
    port = json.loads(Path(os.environ["BENCH_PEER_SETTINGS"]).read_text())["port"]
    arguments = [sys.executable, "-m", "bentoml", "serve", "service:Detector"]
    arguments += ["--working-dir", str(here), "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": sys.argv[1]}
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - no shell is wanted
