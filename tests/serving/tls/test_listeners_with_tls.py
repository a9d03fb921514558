"""Listeners that speak TLS: whom they let in, and what happens when the certificate is renewed."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest
from certificates import Authority, Issued
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from stream_server import Served, serving_streams

from proto.wire.v1 import detection_pb2 as wire
from serving.api.listening import bind, http_server
from serving.client import AsyncDetectClient, BlockingHttpDetectClient, HttpDetectClient
from serving.errors import BackendUnavailable
from serving.tls.certificate_series import CertificateSeries
from serving.tls.client_tls import ClientTls
from serving.tls.identity import Identity
from serving.tls.server_tls import ServerTls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def web(tls: ServerTls) -> AsyncIterator[int]:
    """Serve `GET /name`, "me", and `GET /my-port`, the caller's; yields the port."""
    app = FastAPI()
    app.get("/name")(lambda: "me")

    @app.get("/my-port")
    async def my_port(request: Request) -> int:
        return request.client.port if request.client else 0

    with closing(bind("127.0.0.1", 0, "http_port")) as listener:
        async with http_server(app, listener, stop_timeout_s=5, tls=tls.context):
            yield listener.getsockname()[1]


async def name_at(port: int, tls: ClientTls, host: str = "127.0.0.1") -> str:
    async with httpx.AsyncClient(verify=tls.context()) as http:
        return str((await http.get(f"https://{host}:{port}/name")).json())


async def shown(address: str, trusted: ClientTls, alpn: str = "http/1.1") -> tuple[int, str]:
    """Return the serial number of what a listener shows a new connection, and its TLS version."""
    context = trusted.context()
    context.set_alpn_protocols([alpn])
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host)
    connection = writer.get_extra_info("ssl_object")
    found = int(connection.getpeercert()["serialNumber"], 16), connection.version()
    writer.close()
    return found


def frame(number: int) -> wire.DetectRequest:
    return wire.DetectRequest(image=b"jpeg", camera_id="gate-7", frame_id=str(number))


async def test_who_trusts_the_authority_is_answered_and_who_does_not_leaves(
    authority: Authority, tmp_path: Path
) -> None:
    tls = ServerTls(authority.files(authority.issue()))
    strange = Authority(tmp_path, "strange").client()

    async with web(tls) as port:
        assert await name_at(port, authority.client()) == "me"
        assert await name_at(port, authority.client(), "localhost") == "me"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await name_at(port, strange)


async def test_nothing_below_tls_1_2_and_no_cipher_without_forward_secrecy_is_spoken(
    authority: Authority,
) -> None:
    tls = ServerTls(authority.files(authority.issue()))

    spoken = [one["name"] for one in tls.context.get_ciphers()]

    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in spoken)
    assert all("GCM" in name or "CHACHA20" in name for name in spoken)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_only_whom_the_authority_signed_gets_in_over_http(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    tls = ServerTls(authority.files(authority.issue(), clients=True))
    strange = Authority(tmp_path, "strange").issue("camera")
    no_one, stranger = authority.client(), authority.client(strange)
    late, camera = (authority.client(authority.issue("camera", days=n)) for n in (-1, 1))

    async with web(tls) as port:

        async def asked(client: ClientTls) -> str:
            context = client.context()
            context.maximum_version = version
            async with httpx.AsyncClient(verify=context) as http:
                return str((await http.get(f"https://127.0.0.1:{port}/name")).json())

        assert await asked(camera) == "me"
        for refused in (no_one, stranger, late):
            with pytest.raises(httpx.TransportError):
                await asked(refused)


async def test_only_whom_the_authority_signed_gets_in_over_grpc(
    authority: Authority, tmp_path: Path
) -> None:
    tls = ServerTls(authority.files(authority.issue(), clients=True))
    strange = Authority(tmp_path, "strange").issue("camera")

    async with serving_streams(auth=False, tls=tls) as served:
        camera = authority.client(authority.issue("camera"))
        async with AsyncDetectClient(served.address, None, tls=camera) as client:
            assert (await client.detect(frame(1))).frame_id == "1"
        for refused in (None, strange):
            async with AsyncDetectClient(
                served.address, None, tls=authority.client(refused)
            ) as client:
                with pytest.raises(BackendUnavailable, match="UNAVAILABLE"):
                    await client.detect(frame(1), timeout_s=1)

    assert served.answering.came == ["1"]


async def test_who_speaks_in_clear_is_told_soon_that_nobody_answers(authority: Authority) -> None:
    tls = ServerTls(authority.files(authority.issue()))

    async with web(tls) as port, serving_streams(auth=False, tls=tls) as served:
        clear = f"http://127.0.0.1:{port}"
        with (
            BlockingHttpDetectClient(clear, None) as blocking,
            pytest.raises(BackendUnavailable, match=clear),
        ):
            await asyncio.to_thread(blocking.detect, frame(1), timeout_s=1)
        async with HttpDetectClient(clear, None) as http:
            with pytest.raises(BackendUnavailable, match=clear):
                await http.detect(frame(1), timeout_s=1)
        async with AsyncDetectClient(f"grpc://{served.address}", None) as client:
            with pytest.raises(BackendUnavailable, match="UNAVAILABLE"):
                await client.detect(frame(1), timeout_s=1)

    assert not served.answering.came


async def test_who_speaks_tls_to_a_listener_in_clear_is_told_so(authority: Authority) -> None:
    app = FastAPI()
    with closing(bind("127.0.0.1", 0, "http_port")) as listener:
        async with http_server(app, listener, stop_timeout_s=5):
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            async with HttpDetectClient(url, None, tls=authority.client()) as client:
                with pytest.raises(BackendUnavailable, match="SSL"):
                    await client.detect(frame(1), timeout_s=1)


async def test_a_client_is_told_what_is_wrong_with_the_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    over = ServerTls(authority.files(authority.issue(days=-1)))

    async with web(over) as port:
        url = f"https://127.0.0.1:{port}"
        async with HttpDetectClient(url, None, tls=authority.client()) as client:
            with pytest.raises(BackendUnavailable, match="certificate has expired"):
                await client.detect(frame(1), timeout_s=1)


class Renewing:
    """A certificate in use, its series, and what takes its place."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.first = authority.issue(days=1)
        self._loop = asyncio.get_running_loop()
        self.registry = CollectorRegistry()
        self.series = CertificateSeries(self.registry)
        self.taken_up = asyncio.Event()
        self.tls = ServerTls(
            authority.files(self.first), changed=self._changed, failed=self.series.count_failed
        )

    def _changed(self, identity: Identity) -> None:
        for listener in ("http", "grpc"):
            self.series.show(listener, identity)
        if identity.ends["server"] != self.first.ends:
            self._loop.call_soon_threadsafe(self.taken_up.set)

    def exchange(self, days: float = 9) -> Issued:
        new = self.authority.issue(days=days)
        new.moved_to(self.first)
        return new

    def ends(self, listener: str) -> float | None:
        return self.registry.get_sample_value(
            "understudy_certificate_expiry_timestamp_seconds",
            {"listener": listener, "of": "server"},
        )

    def failed(self) -> float | None:
        return self.registry.get_sample_value("understudy_certificate_renewals_failed_total")


@pytest.fixture
async def renewing(authority: Authority) -> Renewing:
    return Renewing(authority)


async def test_a_renewed_certificate_is_shown_and_no_stream_ends(
    renewing: Renewing, authority: Authority
) -> None:
    trusted = authority.client()
    asked: asyncio.Queue[wire.DetectRequest | None] = asyncio.Queue()

    async def frames() -> AsyncIterator[wire.DetectRequest]:
        while (one := await asked.get()) is not None:
            yield one

    async with (
        renewing.tls.followed(look_s=0.01),
        serving_streams(auth=False, tls=renewing.tls) as served,
        AsyncDetectClient(f"grpcs://{served.address}", None, tls=trusted) as client,
    ):
        answers = client.stream(frames())
        asked.put_nowait(frame(1))
        before = await anext(answers)
        old, _ = await shown(served.address, trusted, "h2")

        new = renewing.exchange()
        await asyncio.wait_for(renewing.taken_up.wait(), 10)
        renewed, version = await shown(served.address, trusted, "h2")
        asked.put_nowait(frame(2))
        after = await anext(answers)
        asked.put_nowait(None)
        rest = [one async for one in answers]

    assert (old, renewed) == (renewing.first.serial, new.serial)
    assert version == "TLSv1.3"
    assert (before.frame_id, after.frame_id, rest) == ("1", "2", [])
    assert renewing.ends("grpc") == new.ends.timestamp()
    assert renewing.failed() == 0


async def test_over_http_a_kept_connection_goes_on_and_a_new_one_sees_the_new_certificate(
    renewing: Renewing, authority: Authority
) -> None:
    trusted = authority.client()
    async with web(renewing.tls) as port, httpx.AsyncClient(verify=trusted.context()) as kept:
        url = f"https://127.0.0.1:{port}/my-port"
        first = (await kept.get(url)).json()
        new = renewing.exchange()
        assert renewing.tls.renew()
        second = (await kept.get(url)).json()
        serial, _ = await shown(f"127.0.0.1:{port}", trusted)

    assert first == second
    assert serial == new.serial


async def test_a_certificate_without_its_key_is_not_taken_up_until_the_key_is_there(
    renewing: Renewing, authority: Authority
) -> None:
    new = authority.issue(days=9)
    new.cert.replace(renewing.first.cert)

    assert not renewing.tls.renew()
    assert not renewing.tls.renew()  # nothing new: nothing more is said
    async with web(renewing.tls) as port:
        half, _ = await shown(f"127.0.0.1:{port}", authority.client())
        new.key.replace(renewing.first.key)
        assert renewing.tls.renew()
        whole, _ = await shown(f"127.0.0.1:{port}", authority.client())

    assert (half, whole) == (renewing.first.serial, new.serial)
    assert renewing.failed() == 1
    assert renewing.ends("http") == new.ends.timestamp()


async def test_neither_one_that_is_over_nor_none_at_all_takes_a_good_one_s_place(
    renewing: Renewing,
) -> None:
    ends = renewing.first.ends.timestamp()
    renewing.exchange(days=-1)
    assert not renewing.tls.renew()
    renewing.first.cert.unlink()
    assert not renewing.tls.renew()

    assert renewing.failed() == 1
    assert renewing.ends("http") == ends


async def test_a_new_authority_of_clients_holds_for_http_and_grpc(
    authority: Authority, tmp_path: Path
) -> None:
    tls = ServerTls(authority.files(authority.issue(), clients=True))
    other, trusted = Authority(tmp_path, "other"), tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    signed = (authority.issue("a"), other.issue("b"))
    old, new = (ClientTls(trusted, one.cert, one.key) for one in signed)

    async def let_in(served: Served, port: int, client: ClientTls) -> list[bool]:
        found = []
        try:
            found.append(await name_at(port, client) == "me")
        except httpx.TransportError:
            found.append(False)
        async with AsyncDetectClient(served.address, None, tls=client) as camera:
            try:
                found.append(bool(await camera.detect(frame(1), timeout_s=1)))
            except BackendUnavailable:
                found.append(False)
        return found

    async with web(tls) as port, serving_streams(auth=False, tls=tls) as served:
        before = [await let_in(served, port, one) for one in (old, new)]
        other.file.replace(authority.file)
        assert tls.renew()
        after = [await let_in(served, port, one) for one in (old, new)]

    assert before == [[True, True], [False, False]]
    assert after == [[False, False], [True, True]]


async def test_a_caller_that_says_nothing_holds_up_nobody(authority: Authority) -> None:
    tls = ServerTls(authority.files(authority.issue()))

    async with web(tls) as port:
        with socket.create_connection(("127.0.0.1", port)):
            assert await name_at(port, authority.client()) == "me"


def test_a_process_that_comes_back_with_a_certificate_that_is_over_shows_so(
    authority: Authority,
) -> None:
    issued, registry = authority.issue(days=-1), CollectorRegistry()
    series = CertificateSeries(registry)

    ServerTls(authority.files(issued), changed=lambda identity: series.show("grpc", identity))

    shown_end = registry.get_sample_value(
        "understudy_certificate_expiry_timestamp_seconds", {"listener": "grpc", "of": "server"}
    )
    assert shown_end == issued.ends.timestamp()
    assert shown_end < time.time()
