from embedded import ports
from embedded.plan import Plan, lay_out


def test_everything_has_a_port_of_its_own(tmp_path, monkeypatch):
    """Hold it where hardly more ports are free than are needed, so that the same would be chosen twice."""
    plan = Plan(tmp_path, http_port=ports.free_port(), replicas={"signaling_gateway": 3})
    monkeypatch.setattr(ports, "FREE_RANGE", range(ports.FREE_RANGE.start, ports.FREE_RANGE.stop, 600))
    layout = lay_out(plan, None)
    servers = layout.ports
    given = [servers.nats, servers.postgres, servers.redis, servers.traces]
    given += [instance.port for instance in layout.instances]
    assert len(given) == len(set(given)) == 12
