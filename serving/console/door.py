"""The console's door: nothing behind it is reached without a session, nor from another site."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.authenticator import Authenticator
from serving.console.fragments import fragment
from serving.console.session_socket import REFUSED, cut_when_over
from serving.console.sessions import Session, Sessions
from serving.console.source import source_zip
from serving.console.troubles import told
from serving.errors import PermissionDenied, Unauthenticated, UnderstudyError
from serving.store import values

COOKIE = "understudy_console"
SESSION = "understudy.session"
"""Where an ASGI scope carries the session."""

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
ASKED = "/session"
"""Whether its session is good still, for a page whose socket has ended."""
SOURCE = "/source.zip"
_AS_SOURCE = {"Content-Disposition": 'attachment; filename="understudy-source.zip"'}
_UNKEPT = {"Cache-Control": "no-store"}
# A key has some 60 characters.
_MOST_FORM_BYTES = 4096
# Vue compiles templates in the browser, hence eval; nothing may come from, or go, anywhere else.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class Door:
    """An ASGI application that signs people in and out and hands the others on.

    Args:
        rooms: Returns what lies behind; called once somebody is signed in.
        authenticator: Checks keys.
        sessions: Who is in.
    """

    def __init__(
        self,
        rooms: Callable[[], Awaitable[ASGIApp]],
        authenticator: Authenticator,
        sessions: Sessions,
    ) -> None:
        self._rooms = rooms
        self._authenticator = authenticator
        self._sessions = sessions
        self._everybody: Session | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or one WebSocket."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(Request(scope, receive), _guarded(send))

    async def _request(self, request: Request, send: Send) -> None:
        scope, receive = request.scope, request.receive
        place = scope["path"].removeprefix(scope.get("root_path", ""))
        if request.method not in {"GET", "HEAD"} and not _of_this_site(request):
            answer: Response = Response("the request comes from another site", 403)
        elif place == SIGN_IN:
            answer = await self._sign_in(request)
        elif place == SIGN_OUT and request.method == "POST":
            answer = self._sign_out(request)
        elif place == SOURCE:
            content = await asyncio.to_thread(source_zip)
            answer = Response(content, media_type="application/zip", headers=_AS_SOURCE)
        elif (session := await self._session(request)) is None:
            answer = _elsewhere(request, place)
        elif place == ASKED:
            answer = Response(status_code=HTTPStatus.NO_CONTENT, headers=_UNKEPT)
        elif not place:
            answer = RedirectResponse(f"{scope['root_path']}/")
        else:
            scope[SESSION] = session
            await (await self._rooms())(scope, receive, send)
            return
        await answer(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        session = await self._session(connection) if _of_this_site(connection) else None
        if session is None:
            await receive()
            await send({"type": "websocket.close", "code": REFUSED})
            return
        scope[SESSION] = session
        await cut_when_over(await self._rooms(), session, scope, receive, send)

    async def _session(self, connection: HTTPConnection) -> Session | None:
        """Return the caller's session, where its key is good still."""
        if not self._authenticator.enabled:
            # Nobody needs a key, and nobody signs in: all share one session.
            if self._everybody is None:
                key = await self._authenticator.authenticate(None, values.Scope.DETECT)
                self._everybody = Session(key)
            return self._everybody
        return self._sessions.find(connection.cookies.get(COOKIE, ""))

    async def _sign_in(self, request: Request) -> Response:
        if request.method != "POST":
            return _sign_in_page(request, said=request.query_params.get("said", ""))
        text = await _key_of(request)
        try:
            key = await self._authenticator.authenticate(text, values.Scope.DETECT)
        except (Unauthenticated, PermissionDenied) as error:
            return _sign_in_page(request, error=_mended(error), status=HTTPStatus.UNAUTHORIZED)
        except Exception as error:  # noqa: BLE001 - the store may be away: the page says so
            unable = HTTPStatus.SERVICE_UNAVAILABLE
            return _sign_in_page(request, error=_sentence(told(error)), status=unable)
        # Who signs in anew is who it was no longer, in none of the browser's tabs.
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(f"{_root(request)}/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            self._sessions.begin(key),
            path=_root(request),
            httponly=True,
            samesite="strict",
            secure=_is_https(request),
        )
        return answer

    def _sign_out(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(f"{_root(request)}{SIGN_IN}?said=out", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path=_root(request))
        return answer


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


def _of_this_site(connection: HTTPConnection) -> bool:
    """Whether a page of this very host sends it: browsers name the page's origin in every such."""
    origin = connection.headers.get("origin", "")
    return urlsplit(origin).netloc == connection.headers.get("host", "") != ""


def _is_https(request: Request) -> bool:
    """Whether the browser speaks HTTPS: to us, or to a proxy that need not have said so."""
    return "https" in {request.url.scheme, urlsplit(request.headers.get("origin", "")).scheme}


def _elsewhere(request: Request, place: str) -> Response:
    """Send a page's visitor to the sign-in; what a page fetches is only refused."""
    if request.method == "GET" and place != ASKED and not place.startswith("/_nicegui"):
        said = "?said=ended" if COOKIE in request.cookies else ""
        return RedirectResponse(f"{_root(request)}{SIGN_IN}{said}", HTTPStatus.SEE_OTHER)
    return Response("sign in first", HTTPStatus.UNAUTHORIZED)


async def _key_of(request: Request) -> str:
    """Return the key in the form; "" where there is none or the body is none of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            return ""
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("key", [""])[0].strip()


def _mended(error: UnderstudyError) -> str:
    """Return an error without what only a program can do about it."""
    return _sentence(error.message.partition(": send `Authorization")[0])


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _sign_in_page(
    request: Request, *, error: str = "", said: str = "", status: int = HTTPStatus.OK
) -> Response:
    content = fragment("sign_in", root=_root(request), error=error, said=said)
    return Response(content, status, media_type="text/html", headers=_UNKEPT)


def _guarded(send: Send) -> Send:
    """Add to each answer what keeps a browser from reaching, or being reached from, elsewhere."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return sending
