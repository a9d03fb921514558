"""A worker without memory says so: it does not call a camera's image damaged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.errors import BadFrame
from handlers.messages import status_of

REPOSITORY = Path(__file__).parents[2]
# Large enough that nothing that is freed meanwhile makes room for it.
PROGRAM = """
import json, resource, sys
import cv2, numpy as np
from handlers.errors import BadFrame
from handlers.images import decode

suffix, large = sys.argv[1], np.zeros((5600, 5600, 3), np.uint8)
whole = cv2.imencode(suffix, large)[1].tobytes()
noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
damaged = bytearray(cv2.imencode(suffix, noise)[1].tobytes())
damaged[60:1060] = bytes(1000)

def ends(image):
    try:
        decode(image)
    except BadFrame as bad:
        return bad.code
    except MemoryError:
        return "no memory"
    return "decoded"

del large
before = [ends(whole), ends(damaged)]
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 30 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
print(json.dumps(before + [ends(whole), ends(damaged)]))
"""


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_lack_of_memory_is_told_from_damage(suffix: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, suffix],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(ran.stdout) == ["decoded", "not_an_image", "no memory", "not_an_image"]


def test_it_is_the_server_s_fault() -> None:
    assert status_of(BadFrame("out_of_memory", ""))[0] == 507
