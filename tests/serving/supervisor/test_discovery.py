"""Who joins and who leaves, by what a name's answers say."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from serving.supervisor.discovery import Discovery, Sightings
from serving.torchserve.backend import Backend
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.tokens import NoToken

ADDRESSES = st.frozensets(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]))


def backend_at(address: str) -> Backend:
    url = f"http://{address}"
    return Backend(address, InferenceClient(url, NoToken()), ManagementClient(url, NoToken()))


class Names:
    """What a name server says, and who was opened and closed for it."""

    def __init__(self, *addresses: str) -> None:
        self.says: Collection[str] | OSError = addresses
        self.open: list[str] = []

    async def resolve(self, _name: str) -> Collection[str]:
        if isinstance(self.says, OSError):
            raise self.says
        return self.says

    @asynccontextmanager
    async def worker(self, address: str) -> AsyncIterator[Backend]:
        self.open.append(address)
        yield backend_at(address)
        self.open.remove(address)

    def discovery(self, *standing: Backend) -> Discovery:
        return Discovery(["workers"], standing, self.worker, self.resolve)


def named(discovery: Discovery) -> list[str]:
    return [one.name for one in discovery.roster]


@given(st.lists(ADDRESSES, max_size=12))
def test_an_address_is_there_while_one_of_the_last_five_answers_held_it(
    answers: list[frozenset[str]],
) -> None:
    sightings = Sightings()
    for answer in answers:
        sightings.answered(answer)

    told = [answer for answer in answers if answer]
    assert set(sightings.addresses) == set[str]().union(*told[-5:])


async def test_whoever_the_name_names_joins_and_leaves() -> None:
    names = Names("10.0.0.1")
    discovery = names.discovery()

    async with discovery.running(look_s=3600):
        assert named(discovery) == ["10.0.0.1"]
        first = discovery.roster[0]
        names.says = ("10.0.0.2", "10.0.0.1")
        await discovery.look()
        assert named(discovery) == ["10.0.0.1", "10.0.0.2"]
        assert discovery.roster[0] is first
        names.says = ("10.0.0.2",)
        for _ in range(5):
            await discovery.look()
        assert named(discovery) == ["10.0.0.2"]
        # It answers what it has.
        assert set(names.open) == {"10.0.0.1", "10.0.0.2"}
        names.says = ("10.0.0.1", "10.0.0.2")
        await discovery.look()
        assert discovery.roster[0] is first

    assert not names.open


async def test_no_answer_takes_nobody_away() -> None:
    names = Names("10.0.0.1", "10.0.0.2")
    discovery = names.discovery()

    async with discovery.running(look_s=3600):
        for silence in (OSError("no such name"), (), TimeoutError()):
            names.says = silence
            for _ in range(10):
                await discovery.look()
        assert named(discovery) == ["10.0.0.1", "10.0.0.2"]
        assert discovery.roster.complete


async def test_who_is_not_found_yet_is_not_gone() -> None:
    names = Names()
    names.says = OSError("no such name")
    discovery = names.discovery(backend_at("standing"))

    async with discovery.running(look_s=3600):
        assert named(discovery) == ["standing"]
        assert not discovery.roster.complete
        names.says = ("10.0.0.1",)
        await discovery.look()
        assert named(discovery) == ["standing", "10.0.0.1"]
        assert discovery.roster.complete


async def test_watchers_are_told_of_changes_alone() -> None:
    names = Names("10.0.0.1")
    discovery = names.discovery()
    told: list[list[str]] = []

    async with discovery.running(look_s=3600):
        discovery.roster.watch(lambda: told.append(named(discovery)))
        await discovery.look()
        assert told == []
        names.says = ("10.0.0.1", "10.0.0.3")
        await discovery.look()
        await discovery.look()

    assert told == [["10.0.0.1", "10.0.0.3"]]


async def test_hosts_by_their_own_names_need_no_name_server() -> None:
    discovery = Discovery((), [backend_at("w-0")], Names().worker)

    async with discovery.running():
        assert named(discovery) == ["w-0"]
        assert discovery.roster.complete
