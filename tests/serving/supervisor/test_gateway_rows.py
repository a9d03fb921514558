from serving.store.store import Store
from serving.supervisor.gateway_rows import GatewayRows


async def ids(store: Store) -> set[str]:
    return {status.id for status in await store.gateways()}


async def test_the_row_of_a_gateway_that_ended_is_removed_and_no_other(store: Store) -> None:
    async with GatewayRows(store, "here") as rows:
        first, second = rows.id_of("gateway-1", 0), rows.id_of("gateway-1", 1)
        await store.join_gateway(first)
        await store.join_gateway(second)

        rows.ended("gateway-1", 0)

    assert await ids(store) == {second}


async def test_rows_of_an_earlier_run_are_removed_and_other_deployments_stay(store: Store) -> None:
    earlier = GatewayRows(store, "here").id_of("gateway-1", 0)
    elsewhere = GatewayRows(store, "there").id_of("gateway-1", 0)
    await store.join_gateway(earlier)
    await store.join_gateway(elsewhere)

    async with GatewayRows(store, "here") as rows:
        assert rows.id_of("gateway-1", 0) != earlier

    assert await ids(store) == {elsewhere}
