import asyncio

from serving.error_info import code_of
from serving.errors import Overloaded


def test_a_frame_s_end_has_a_code_whatever_it_was() -> None:
    ends: list[BaseException | None] = [
        None,
        Overloaded("full", retry_after_s=1),
        asyncio.CancelledError(),
        ZeroDivisionError(),
    ]

    assert [code_of(end) for end in ends] == ["ok", "overloaded", "cancelled", "internal"]
