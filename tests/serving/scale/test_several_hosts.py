"""Gateways and workers on hosts of their own: found by a DNS name, cut off, slow, and back."""

from collections.abc import Iterator
from typing import Any

import pytest
from parts_apart import until
from several_hosts import GATEWAYS, NAME, WORKERS, SeveralHosts, cameras, several_hosts
from small_network import why_not

_WHY_NOT = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)]
BOTH = set(WORKERS)


@pytest.fixture(scope="module")
def hosts(
    tmp_path_factory: pytest.TempPathFactory, archives: Any, image: bytes
) -> Iterator[SeveralHosts]:
    with several_hosts(tmp_path_factory.mktemp("hosts"), archives) as opened:
        for name in ("student", "second", "third"):
            archives.build(opened.parts.model_store, name)
        opened.deploy("student")
        opened.route(student=100)
        yield opened


@pytest.fixture
def both(hosts: SeveralHosts) -> SeveralHosts:
    """Both workers are known and serve."""
    hosts.names.answer(NAME, *WORKERS)
    until(lambda: hosts.placed("student") == BOTH, timeout_s=120)
    return hosts


def test_a_worker_joins_and_leaves_by_its_name_alone(hosts: SeveralHosts, image: bytes) -> None:
    first, second = WORKERS
    assert set(hosts.backends()) == {first}

    with cameras(hosts, image) as answers:
        answers.more(20)
        hosts.names.answer(NAME, first, second)
        until(lambda: hosts.placed("student") == BOTH, timeout_s=120)
        until(lambda: hosts.frames_at(second) > 20)
        hosts.names.answer(NAME, second)
        until(lambda: hosts.placed("student") == {second}, timeout_s=120)
        before = hosts.frames_at(first)
        answers.more(40)
        assert hosts.frames_at(first) - before <= 4  # those that were under way

    answers.check_complete()
    assert set(hosts.backends()) == {second}


def test_a_name_server_that_is_gone_takes_no_worker_down(both: SeveralHosts, image: bytes) -> None:
    both.network.cut_off("names")
    try:
        with cameras(both, image) as answers:
            answers.more(100)
        assert both.placed("student") == BOTH
    finally:
        both.network.plug_in("names")

    answers.check_complete()


def test_a_worker_that_is_cut_off_loses_no_frame_and_is_given_what_it_missed(
    both: SeveralHosts, image: bytes
) -> None:
    away = WORKERS[1]

    with cameras(both, image) as answers:
        answers.more(40)
        both.network.cut_off("worker-2")
        answers.more(100)
        until(lambda: not both.backends()[away])
        both.deploy("second")
        both.route(second=100)
        answers.more(40)
        assert both.placed("second") == {WORKERS[0]}
        both.network.plug_in("worker-2")
        until(lambda: both.placed("second") == BOTH, timeout_s=120)
        before = both.frames_at(away)
        until(lambda: both.frames_at(away) > before + 40)

    answers.check_complete()
    both.route(student=100)


def test_a_worker_that_is_slow_holds_no_frame_up_for_good(both: SeveralHosts, image: bytes) -> None:
    with cameras(both, image) as answers:
        both.network.slow_down("worker-2", kbit_s=100)
        try:
            before = [both.frames_at(one) for one in WORKERS]
            answers.more(200)
            quick, slow = (both.frames_at(one) - n for one, n in zip(WORKERS, before, strict=True))
        finally:
            both.network.speed_up("worker-2")
        before_back = both.frames_at(WORKERS[1])
        until(lambda: both.frames_at(WORKERS[1]) > before_back + 40)

    answers.check_complete()
    assert slow < quick


def test_cameras_of_a_gateway_that_is_cut_off_go_to_another(
    both: SeveralHosts, image: bytes
) -> None:
    with cameras(both, image) as answers:
        answers.more(40)
        both.network.cut_off("gateway-1")
        try:
            answers.more(200)
        finally:
            both.network.plug_in("gateway-1")
        answers.more(40)

    answers.check_complete()
    assert len(GATEWAYS) == 2


def test_gateways_outlast_the_controller_and_the_store(both: SeveralHosts, image: bytes) -> None:
    with cameras(both, image) as answers:
        answers.more(40)
        both.network.cut_off("store")
        try:
            answers.more(200)
        finally:
            both.network.plug_in("store")
        until(lambda: bool(both.admin("GET", "/status").json()["leads"]), timeout_s=120)
        both.deploy("third")
        until(lambda: both.placed("third") == BOTH, timeout_s=120)

    answers.check_complete()
