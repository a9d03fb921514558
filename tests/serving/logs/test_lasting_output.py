import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PROGRAM = """
import structlog
from serving.logs.lines import set_up_log

set_up_log("gateway-1")
for number in range(3000):
    structlog.get_logger().warning("a line", number=number)
print("still here")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
def test_a_full_disk_under_the_log_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )

    assert ran.stdout == "still here\n"


def test_nor_does_a_reader_that_is_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        check=False,
    )
    os.close(writer)

    assert ran.stdout == "still here\n"


def test_where_there_is_room_every_line_arrives() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    numbers = [json.loads(line)["number"] for line in ran.stderr.splitlines()]
    assert numbers == list(range(3000))
