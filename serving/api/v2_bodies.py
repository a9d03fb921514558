"""Bodies of V2's REST requests, bounded while they are read."""

import asyncio

from starlette.requests import Request

from serving import errors
from serving.api.image_budget import Account
from serving.dataplane.deadline import Deadline

# A sender that stalls must not hold a connection for ever.
_UPLOAD_S = 30.0


def check_plain(request: Request) -> None:
    """Check that a body is sent as it is.

    Raises:
        InvalidField: It is compressed.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise errors.InvalidField(
            "Content-Encoding",
            f"Content-Encoding: {encoding[:32]!r} is not taken; images are compressed already",
        )


async def read_body(
    request: Request, deadline: Deadline | None, most_bytes: int, account: Account | None = None
) -> bytes:
    """Read a body, each chunk counted in the account as it comes.

    Raises:
        ImageTooLarge: It has more than `most_bytes`.
        Overloaded: The account's budget has no room.
        DeadlineExceeded: It does not arrive by the deadline, or within 30 s.
    """
    patience_s = _UPLOAD_S if deadline is None else min(_UPLOAD_S, deadline.remaining_s())
    chunks, size = [], 0
    try:
        async with asyncio.timeout(patience_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most_bytes:
                    raise errors.ImageTooLarge(
                        "body", f"body: at most {most_bytes} bytes are taken; send fewer images"
                    )
                if account is not None:
                    account.take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise errors.DeadlineExceeded(
            f"the body did not arrive within {patience_s:.3g} s"
        ) from None
    return b"".join(chunks)
