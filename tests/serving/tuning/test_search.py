"""The search, on a machine in arithmetic: what it tries, what it leaves out, what it recommends."""

from dataclasses import dataclass, field

import pytest
from simulated_stand import Model, SimulatedStand

from serving.errors import ConfigurationError, DeployFailed, WorkerDied, WorkerFailed
from serving.tuning.findings import Findings
from serving.tuning.search import Search
from serving.tuning.space import Space, layouts
from serving.tuning.stand import Stand

CORES = 4
WRONG = DeployFailed("golden frames: fast-int8 reached F1 0.000 against the card's answers")
ABSENT = WorkerFailed("card.json: variants: gpu-fp16 needs 'cuda'")


@dataclass
class Heard:
    """What a search says."""

    did: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)

    def doing(self, what: str, left_s: float) -> None:
        self.did.append(what)
        self.left_s.append(left_s)

    def found(self, text: str) -> None:
        self.news.append(text)


async def search(
    models: dict[str, Model],
    *,
    p99_ms: float = 200.0,
    budget_s: float = 600.0,
    cores: int = CORES,
    kills: int = 0,
) -> tuple[Findings, SimulatedStand, Heard]:
    """Search, with all models as the card's variants."""
    simulated, findings, heard = SimulatedStand(models, kills), Findings(), Heard()
    stand: Stand = simulated
    space = Space(tuple(models), layouts(cores, 64 * 1024**3))
    looking = Search(
        stand,
        space,
        findings,
        p99_ms=p99_ms,
        budget_s=budget_s,
        hearer=heard,
        clock=simulated.clock,
    )
    await looking.run()
    return findings, simulated, heard


async def test_the_fastest_variant_and_layout_are_found_and_confirmed() -> None:
    findings, stand, _ = await search({"slow-fp32": Model(60), "fast-int8": Model(20)})

    best = findings.best(200)
    assert best is not None
    assert best.confirmed
    # Threads of one run gain less than workers of one thread each.
    assert (best.wanted.variant, best.wanted.workers, best.wanted.threads) == ("fast-int8", 4, 1)
    most = stand.models["fast-int8"].frames_per_s(best.wanted)
    assert 0.8 * most < best.rate < most


async def test_a_wrong_variant_and_one_that_does_not_run_are_out_with_the_reason() -> None:
    models = {"fast-int8": Model(1, fails=WRONG), "gpu-fp16": Model(1, fails=ABSENT)}

    findings, stand, heard = await search(models | {"right-fp32": Model(20)})

    best = findings.best(200)
    assert best is not None
    assert best.wanted.variant == "right-fp32"
    assert [one.variant for one in stand.ran].count("fast-int8") == 1
    assert "fast-int8, 1 worker of 4 threads, batch 4: golden frames: fast" in heard.news[0]
    assert "needs 'cuda'" in heard.news[1]


async def test_one_that_goes_wrong_under_load_leaves_no_point_behind() -> None:
    fragile = Model(10, fails_under_load=WorkerDied("a worker died"))

    findings, _, _ = await search({"fragile-int8": fragile, "right-fp32": Model(11)})

    assert {one.wanted.variant for one in findings.points} == {"right-fp32"}


async def test_whoever_kills_the_server_is_out_and_nobody_else() -> None:
    findings, stand, heard = await search({"fast-int8": Model(100)}, kills=4)

    best = findings.best(200)
    assert best is not None
    assert {one.wanted.workers for one in findings.tried if one.why_not} == {4}
    # Once more: the first time it may have been somebody else's fault.
    assert [one.workers for one in stand.ran].count(4) == 2
    assert "did not answer PUT /models; once more" in heard.news[0]


@pytest.mark.parametrize(("cores", "frame_ms"), [(1, 15), (1, 30), (2, 30), (2, 50), (4, 60)])
async def test_what_is_confirmed_holds_in_the_long_run_and_is_near_the_most(
    cores: int, frame_ms: float
) -> None:
    findings, stand, _ = await search({"fast-int8": Model(frame_ms)}, cores=cores)

    best, model = findings.best(200), stand.models["fast-int8"]
    assert best is not None
    assert best.confirmed
    assert model.long_run_p99_ms(best.wanted, 0.95 * best.rate) <= 200
    assert model.long_run_p99_ms(best.wanted, 1.2 * best.rate) > 200


async def test_what_lies_between_one_worker_and_a_worker_a_core_can_win() -> None:
    findings, _, _ = await search({"slow-fp32": Model(200, serial=0.04)}, cores=16, p99_ms=100)

    best = findings.best(100)
    assert best is not None
    assert 1 < best.wanted.workers < 16
    # The widest run holds 26.9 frames a second; a worker a core takes twice the target for one.
    assert best.rate > 30


async def test_a_batch_of_two_is_tried_where_four_take_too_long() -> None:
    _, stand, _ = await search({"gpu-fp16": Model(100, batch_gain=0.4)}, cores=1, p99_ms=250)

    assert {one.batch_size for one in stand.ran} == {1, 2, 4}


async def test_where_none_answers_rightly_each_reason_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"fast-int8: golden frames.*gpu-fp16: card\.json"):
        await search({"fast-int8": Model(1, fails=WRONG), "gpu-fp16": Model(1, fails=ABSENT)})


async def test_larger_batches_are_tried_where_they_pay_and_the_target_lets() -> None:
    paying, stand, _ = await search({"gpu-fp16": Model(10, batch_gain=0.9)})
    best = paying.best(200)
    assert best is not None
    assert best.wanted.batch_size > 4

    _, stand, _ = await search({"gpu-fp16": Model(200, batch_gain=0.5)}, cores=1, p99_ms=500)
    assert max(one.batch_size for one in stand.ran) == 4

    _, stand, _ = await search({"cpu-fp32": Model(10)})
    assert {one.batch_size for one in stand.ran} == {1, 4}


async def test_waiting_for_a_batch_is_tried_only_where_a_fuller_one_saves_more() -> None:
    _, stand, _ = await search({"cpu-fp32": Model(10)})
    assert {one.batch_delay_ms for one in stand.ran} == {0}

    _, stand, _ = await search({"gpu-fp16": Model(10, batch_gain=0.9)})
    assert {one.batch_delay_ms for one in stand.ran} == {0, 5, 10}


async def test_a_target_that_nothing_holds_leaves_the_front_but_no_best() -> None:
    findings, _, _ = await search({"slow-fp32": Model(500)}, p99_ms=50)

    assert findings.best(50) is None
    assert findings.front()


async def test_what_a_longer_look_refutes_gives_way_to_what_holds() -> None:
    findings, stand, _ = await search({"fast-int8": Model(15)}, cores=1)

    best = findings.best(200)
    assert best is not None
    assert best.confirmed
    refuted = [one for one in findings.points if one.confirmed and not one.holds(200)]
    assert refuted
    assert all(one.rate > best.rate for one in refuted if one.wanted == best.wanted)
    draws = {draw for way, rate, draw in stand.offers if (way, rate) == (best.wanted, best.rate)}
    assert draws >= {1, 2, 3}


async def test_lower_rates_are_tried_until_the_target_is_held() -> None:
    # One frame on four threads takes 65 ms alone: half of the load is too much already.
    findings, _, _ = await search({"slow-fp32": Model(200)}, p99_ms=140)

    best = findings.best(140)
    assert best is not None
    assert best.wanted.batch_size == 1
    assert best.wanted.threads == 4


@pytest.mark.parametrize("budget_s", [30, 60, 120, 300])
async def test_the_budget_is_kept_but_for_what_was_begun(budget_s: float) -> None:
    models = {f"v{place}-fp32": Model(20 + place) for place in range(6)}

    findings, stand, heard = await search(models, budget_s=budget_s)

    assert stand.now_s <= budget_s + 30
    assert findings.best(200) is not None
    assert heard.left_s[0] <= budget_s
    assert all(0 <= left_s <= budget_s for left_s in heard.left_s)


async def test_no_load_is_offered_twice_with_the_same_arrivals() -> None:
    _, stand, _ = await search({"fast-int8": Model(20)})

    assert len(stand.offers) == len(set(stand.offers))
