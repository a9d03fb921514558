"""Whether the server in this container lives: `python -m serving.health`, for its health check.

It asks whatever the ready file says listens here, and needs no package beside the standard library:
it runs every half minute.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

# Each answers /livez.
_LISTENERS = ("http_url", "admin_url", "worker_url")
_PATIENCE_S = 5.0
_ANYWHERE = "//0.0.0.0:"


def main() -> int:
    """Ask each listener whether it lives.

    Returns:
        The exit status: 0 when all do, 1 when one does not, or the server has not started.
    """
    file = os.environ.get("UNDERSTUDY_READY_FILE")
    if file is None:
        return _unhealthy("UNDERSTUDY_READY_FILE names no file")
    try:
        addresses = json.loads(Path(file).read_text(encoding="utf-8"))
        for name in _LISTENERS:
            url = addresses[name].replace(_ANYWHERE, "//127.0.0.1:")
            if url:
                urllib.request.urlopen(f"{url}/livez", timeout=_PATIENCE_S).close()  # noqa: S310
    except (OSError, ValueError, KeyError) as error:
        return _unhealthy(str(error))
    return 0


def _unhealthy(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
