"""The admin API as the command line sees it: one call, and errors that say how to mend them."""

import os
import re
from pathlib import Path
from typing import Any

import httpx

from serving.access.admin_key import ADMIN_KEY_FILE
from serving.tls.client_tls import CA_VARIABLE, CERT_VARIABLE, ClientTls, context_for
from serving.tls.client_tls import KEY_VARIABLE as CLIENT_KEY_VARIABLE

URL_VARIABLE = "UNDERSTUDY_ADMIN_URL"
KEY_VARIABLE = "UNDERSTUDY_KEY"
DEFAULT_URL = "http://127.0.0.1:8081"
# Loading a large release on many workers takes its time.
_TIMEOUT_S = 600.0
_ENDED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class AdminError(Exception):
    """The server refused, or was not reached.

    Attributes:
        message: What is wrong and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class AdminClient:
    """Calls the admin API.

    Args:
        url: Where it listens.
        key: An API key; None where the server asks for none.
        tls: Over https, whom to trust and who we are; None: whom this machine trusts.
        transport: Another way to reach it.

    Raises:
        AdminError: The address cannot be read.
        ConfigurationError: A file of `tls` cannot be used.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        tls: ClientTls | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._url = shown_url(url)
        try:
            base_url = httpx.URL(f"{url.rstrip('/')}/admin/v1")
        except httpx.InvalidURL:
            # What httpx says of it may be a piece of a password.
            raise AdminError(
                f"the address of {self._url} cannot be read: it is http(s)://HOST:PORT, and what "
                "is special in a password is written %XX"
            ) from None
        self._http = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=_TIMEOUT_S,
            transport=transport,
            verify=context_for([url], tls),
            trust_env=False,  # a proxy has no business between an operator and this machine
        )

    def __enter__(self) -> "AdminClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | list[Any] | None = None,
        **query: str | int,
    ) -> Any:
        """Call the API and return what it answers.

        Args:
            method: "GET", "POST"...
            path: Below /admin/v1.
            body: Sent as JSON.
            query: Of the URL.

        Raises:
            AdminError: It refused, or cannot be reached.
        """
        try:
            reply = self._http.request(method, path, json=body, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AdminError(_unreached(self._url, error)) from error
        if reply.is_success:
            return reply.json()
        raise AdminError(_explain(reply))


def shown_url(url: str) -> str:
    """Return an address as it may be told: without user and password, path and query."""
    scheme, slashes, rest = url.rpartition("//") if "//" in url else ("", "", url)
    # Up to the last "@": a password may hold what should have been written %XX.
    return scheme + slashes + re.split(r"[/?#]", rest.rpartition("@")[2], maxsplit=1)[0]


def find_key(url: str, state_dir: Path) -> str | None:
    """Return the key to use: UNDERSTUDY_KEY, else the admin key of a server on this machine.

    Args:
        url: Where the call goes. Where it has a password, that is what the call presents.
        state_dir: Of this machine's server.

    Raises:
        AdminError: There is a password and UNDERSTUDY_KEY too, and a call presents one alone.
    """
    key = os.environ.get(KEY_VARIABLE)
    if "@" in url:
        if key:
            raise AdminError(
                f"the address of {shown_url(url)} has a password, and {KEY_VARIABLE} is set: a "
                "call presents only one of them; leave out the other"
            )
        return None
    if key:
        return key
    try:
        return (state_dir / ADMIN_KEY_FILE).read_text().strip()
    except OSError:
        return None


def _unreached(url: str, error: Exception) -> str:
    why = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in why:
        return (
            f"the certificate of {url} is not trusted ({why}): set {CA_VARIABLE} (--ca) to "
            "the certificate of who signed it, and use a name that it holds"
        )
    # TLS 1.3 tells of a client's missing certificate after the handshake: what is heard of it first
    # may be that the connection has ended.
    ended = url.startswith("https:") and isinstance(error, _ENDED)
    if ended or "certificate required" in why.lower() or "CERTIFICATE_REQUIRED" in why:
        return (
            f"{url} ended the connection ({why}): where it wants a client's certificate, set "
            f"{CERT_VARIABLE} (--cert) and {CLIENT_KEY_VARIABLE} (--cert-key) to yours and its key"
        )
    hint = "" if url.startswith("https:") else "; where it speaks TLS, begin it with https://"
    return (
        f"no server answers at {url} ({why}): start one with `understudy serve`, or set "
        f"{URL_VARIABLE} (--url) to where its admin API listens{hint}"
    )


def _explain(reply: httpx.Response) -> str:
    try:
        error = reply.json()["error"]
        message, request_id = error["message"], error.get("requestId", "")
    except (ValueError, KeyError, TypeError):
        return f"the server answered {reply.status_code} and nothing that can be read"
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        message += f"\nOn this machine, set {KEY_VARIABLE} to a key."
    return f"{message}\n(request {request_id})" if reply.is_server_error else message
