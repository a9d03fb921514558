"""The program of every child: `python -m serving.supervisor.child`, wired over its input."""

import asyncio
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager

import uvloop

from serving.errors import UnderstudyError
from serving.logs.lines import set_up_log
from serving.supervisor.superior import Superior, die_with_supervisor, superior
from serving.supervisor.supervised import Report
from serving.supervisor.wiring import Role, Wiring


def main() -> int:
    """Serve as the supervisor says, until it says no more.

    Returns:
        The exit status.
    """
    die_with_supervisor()
    # A terminal's Ctrl-C is the supervisor's to handle, after a drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Our output is the report; whatever prints goes where the log goes.
    report = os.dup(1)
    os.dup2(2, 1)
    # Until the wiring says how: it holds passwords, and may itself be what is wrong.
    set_up_log("child")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(report))


async def _run(report: int) -> int:
    async with superior(report) as ours:
        text = await ours.wiring()
        if not text:
            return 0
        wiring = Wiring.model_validate_json(text)
        said = wiring.settings
        set_up_log(wiring.name, form=said.log_format, level=said.log_level)
        following = asyncio.create_task(ours.follow())
        try:
            async with _opened(wiring, ours) as metrics_url:
                ours.report(Report(metrics_url=metrics_url))
                await ours.left()
        except UnderstudyError as error:
            ours.report(Report(error=error.message))
            return 1
        finally:
            following.cancel()
        return 0


def _opened(wiring: Wiring, ours: Superior) -> AbstractAsyncContextManager[str]:
    # Each imports its own plane alone.
    if wiring.role is Role.GATEWAY:
        from serving.supervisor.gateway_process import gateway_process  # noqa: PLC0415

        return gateway_process(wiring)
    from serving.supervisor.controller_process import controller_process  # noqa: PLC0415

    return controller_process(wiring, ours)


if __name__ == "__main__":
    sys.exit(main())
