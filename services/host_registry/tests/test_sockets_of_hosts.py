"""Whether a host holds a signaling socket, as gateways tell."""

from contracts.hosts import Host

from services.host_registry.tests.world import SECOND, World


async def connected(world: World, host_id: str = "host-1") -> bool:
    return (await world.host(host_id)).connected


async def test_a_host_is_connected_while_its_socket_is_open(world: World) -> None:
    await world.register()
    assert not await connected(world)
    await world.connect("c1")
    assert await connected(world)
    await world.disconnect("c1")
    assert not await connected(world)


async def test_a_socket_belongs_to_the_host_that_signals_under_its_name(world: World) -> None:
    await world.register("host-1", peer_id="peer")
    await world.register("host-2")
    await world.connect("c1", peer_id="peer")
    await world.connect("c2", peer_id="somebody else")
    assert (await connected(world, "host-1"), await connected(world, "host-2")) == (True, False)


async def test_the_end_of_a_replaced_socket_says_nothing_of_the_newer(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.connect("c2", gateway_id="gw-2")
    await world.disconnect("c1")
    await world.wait(5 * SECOND)
    assert await connected(world)


async def test_a_late_word_of_an_older_socket_changes_nothing(world: World) -> None:
    await world.register()
    await world.connect("c2")
    await world.disconnect("c2")
    await world.connect("c1")
    assert not await connected(world)


async def test_an_end_that_is_told_before_its_beginning_is_the_end(world: World) -> None:
    await world.register()
    await world.disconnect("c1")
    await world.connect("c1")
    assert not await connected(world)


async def test_a_word_told_twice_is_told_once(world: World) -> None:
    await world.register()
    await world.connect("c1")
    await world.disconnect("c1")
    await world.wait(SECOND)
    await world.beat()
    await world.wait(SECOND)
    await world.disconnect("c1")
    await world.wait(5 * SECOND)
    assert (await world.host()).status == "online"


async def test_a_gateway_that_falls_silent_no_longer_vouches_for_its_sockets(world: World) -> None:
    await world.register()
    await world.connect("c1")
    for _ in range(29):
        await world.wait(SECOND)
        await world.beat()
    assert await connected(world)
    await world.wait(SECOND)
    assert not await connected(world)


async def test_a_gateway_that_announces_itself_goes_on_vouching(world: World) -> None:
    await world.register()
    await world.connect("c1")
    for _ in range(6):
        await world.wait(10 * SECOND)
        await world.beat()
        await world.gateway_lives()
    assert await connected(world)


async def test_a_gateway_that_is_heard_again_vouches_again_for_what_is_still_open(world: World) -> None:
    for number in (1, 2):
        await world.register(f"host-{number}")
        await world.connect("c1", peer_id=f"host-{number}")
    for _ in range(30):
        await world.wait(SECOND)
        await world.beat("host-1")
        await world.beat("host-2")
    await world.disconnect("c1", peer_id="host-2")
    await world.gateway_lives()
    assert (await connected(world, "host-1"), await connected(world, "host-2")) == (True, False)


async def test_no_gateway_is_disbelieved_for_our_own_absence(world: World) -> None:
    await world.register()
    await world.connect("c1")
    world.line.up = False
    await world.wait(60 * SECOND)
    world.line.up = True
    await world.wait(SECOND)
    assert await connected(world)


async def test_of_equal_hosts_the_connected_one_comes_first(world: World) -> None:
    for number in (1, 2):
        await world.register(f"host-{number}")
    await world.connect("c1", peer_id="host-2")
    found: list[Host] = [candidate.host for candidate in (await world.find()).candidates]
    assert [host.host_id for host in found] == ["host-2", "host-1"]
