"""When frames are traced, and what is said where they cannot be."""

import asyncio
import subprocess
import sys

import pytest
import structlog
from otlp_receiver import otlp_receiver
from structlog.testing import capture_logs

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.calls import Call
from serving.errors import ConfigurationError
from serving.store.values import Scope
from serving.tracing.opened import is_wanted, opened
from serving.tracing.tracing import Untraced

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("setting", "environment", "wanted"),
    [
        (None, {}, False),
        (True, {}, True),
        (None, ENDPOINT, True),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        (None, {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (None, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (None, ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (True, {"OTEL_SDK_DISABLED": "TRUE"}, False),
        (False, ENDPOINT, False),
    ],
)
def test_the_setting_or_opentelemetrys_own_variables_ask_for_it(
    setting: bool | None, environment: dict[str, str], wanted: bool
) -> None:
    assert is_wanted(setting, environment) is wanted


async def test_a_protocol_that_is_not_spoken_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigurationError, match=r"'grpc', and spans are sent as http/protobuf"):
        async with opened(True, share=1, process="gateway-1", instance="g1"):
            pass


WRONG = [
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_what_only_the_environment_asked_for_keeps_nobody_from_serving(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for each, said in (ENDPOINT | {name: value}).items():
        monkeypatch.setenv(each, said)
    with capture_logs() as lines:
        async with opened(None, share=1, process="gateway-1", instance="g1") as tracing:
            assert isinstance(tracing, Untraced)
    assert [line["event"] for line in lines] == ["not_traced"]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_what_the_setting_asked_for_and_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"^tracing: "):
        async with opened(True, share=1, process="gateway-1", instance="g1"):
            pass


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "understudy"),
        ({"OTEL_SERVICE_NAME": "eyes"}, "eyes"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=gates,site=north"}, "gates"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=gates", "OTEL_SERVICE_NAME": "eyes"},
            "eyes",
        ),
    ],
)
async def test_opentelemetrys_variables_name_the_service(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    with otlp_receiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        for each, said in environment.items():
            monkeypatch.setenv(each, said)
        async with opened(None, share=1, process="gateway-1", instance="g1") as tracing:
            with tracing.frame(Call("r", Scope.DETECT), wire.DetectRequest()):
                pass

    resource = collector.resources["g1"]
    assert resource["service.name"] == name
    assert resource.get("site") == ("north" if "site" in str(environment) else None)


_WITHOUT = """
import asyncio, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.exporter"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from serving.tracing.opened import opened
async def main():
    async with opened(True, share=1, process="gateway-1", instance="g1"):
        pass
asyncio.run(main())
"""


def test_without_the_package_it_says_which_to_install() -> None:
    program = [sys.executable, "-c", _WITHOUT]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert "pip install 'understudy[tracing]'" in done.stderr


def test_who_does_not_trace_loads_nothing_of_it() -> None:
    program = (
        "import sys, serving.supervisor.gateway_process\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


async def test_a_collector_that_is_away_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    before = list(structlog.get_config()["processors"])
    async with asyncio.timeout(30):
        async with opened(None, share=1, process="gateway-1", instance="g1") as tracing:
            with tracing.frame(Call("r", Scope.DETECT), wire.DetectRequest()):
                pass
    assert structlog.get_config()["processors"] == before
