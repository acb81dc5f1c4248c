import dataclasses
import subprocess
import sys

import pytest
from embedded import ports
from embedded.plan import Plan, lay_out


@pytest.mark.parametrize(
    ("asked", "url"),
    [
        ("192.0.2.7", "http://192.0.2.7:8001"),
        ("0.0.0.0", "http://127.0.0.1:8001"),
        ("fd00::7", "http://[fd00::7]:8001"),
    ],
)
def test_gateways_alone_listen_where_others_reach_them(tmp_path, asked, url):
    layout = lay_out(dataclasses.replace(Plan(tmp_path), http_host=asked), None)
    gateway, *others = reversed(layout.instances)
    assert dataclasses.replace(gateway, port=8001).http == url
    assert gateway.host == asked
    assert {instance.host for instance in others} == {"127.0.0.1"}


def test_everything_has_a_port_of_its_own(tmp_path, monkeypatch):
    """Hold it where hardly more ports are free than are needed, so that the same would be chosen twice."""
    plan = Plan(tmp_path, http_port=ports.free_port(), replicas={"signaling_gateway": 3})
    monkeypatch.setattr(ports, "FREE_RANGE", range(ports.FREE_RANGE.start, ports.FREE_RANGE.stop, 600))
    layout = lay_out(plan, None)
    servers = layout.ports
    given = [servers.nats, servers.postgres, servers.redis, servers.traces]
    given += [instance.port for instance in layout.instances]
    assert len(given) == len(set(given)) == 12


def test_two_programs_that_choose_at_once_choose_different_ports():
    """Of a hundred, each chooses half; the one has not listened yet when the other chooses."""
    choose = "ports.FREE_RANGE = range(14000, 14100); print(*ports.free_ports(50), flush=True)"
    program = [sys.executable, "-c", f"from embedded import ports; {choose}; input()"]
    with (
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert one.stdout
        assert other.stdout
        chosen = [port for said in (one.stdout, other.stdout) for port in said.readline().split()]
        for process in (one, other):
            process.communicate("\n")
    assert len(set(chosen)) == 100
