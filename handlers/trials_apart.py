"""Trials in a process of their own: its memory, and what an engine breaks in it, go with it.

`python -m handlers.trials_apart REQUEST`, both as JSON, from the folder that `handlers` lies in.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from handlers.errors import RuntimeFailed
from handlers.trials import BUDGET_S, Outcome, try_here

# One variant may have been begun when the time was up.
_PATIENCE_S = BUDGET_S + 30.0


def try_apart(
    folder: Path, names: Sequence[str], threads: int | None, gpu_id: int | None
) -> list[Outcome]:
    """Try variants of an extracted archive in another process; see `try_here`.

    Raises:
        RuntimeFailed: That process ended otherwise than with an answer.
    """
    request = json.dumps(
        {
            "folder": str(folder.resolve()),
            "names": list(names),
            "threads": threads,
            "gpu_id": gpu_id,
        }
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-m", "handlers.trials_apart", request],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
        # Engines may say something before.
        return [Outcome(**one) for one in json.loads(done.stdout.splitlines()[-1])]
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeFailed(f"trying variants ended with {error.returncode}: {last}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError, TypeError) as error:
        raise RuntimeFailed(f"trying variants gave no answer: {error}") from error


def main() -> None:
    """Try what the first argument asks for and print what came of it."""
    request = json.loads(sys.argv[1])
    folder, names = Path(request["folder"]), request["names"]
    outcomes = try_here(folder, names, request["threads"], request["gpu_id"])
    sys.stdout.write("\n" + json.dumps([asdict(one) for one in outcomes]) + "\n")


if __name__ == "__main__":
    main()
