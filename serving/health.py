"""Whether the server in this container lives: `python -m serving.health`, for its health check.

It asks whatever the ready file says listens here, and needs no package beside the standard library:
it runs every half minute.
"""

import json
import os
import ssl
import sys
import urllib.error
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
                _ask(url)
    except (OSError, ValueError, KeyError) as error:
        return _unhealthy(str(error))
    return 0


def _ask(url: str) -> None:
    """Return where a listener lives.

    Raises:
        OSError: It does not.
    """
    # It is our own, and its certificate is not of 127.0.0.1: only whether it lives is asked.
    tls = ssl._create_unverified_context()  # noqa: S323
    try:
        urllib.request.urlopen(f"{url}/livez", timeout=_PATIENCE_S, context=tls).close()  # noqa: S310
    except OSError as error:
        if not _wants_a_certificate(error):
            raise


def _wants_a_certificate(error: OSError) -> bool:
    """Whether we were turned away for want of a client's certificate: so does only who lives."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, ssl.SSLError) and "ALERT" in str(reason.reason)


def _unhealthy(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
