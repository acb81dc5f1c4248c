import pytest
from embedded.catalogue import SERVICES, Service, waves


def test_a_wave_holds_all_whose_predecessors_are_in_earlier_waves():
    assert [{service.name for service in wave} for wave in waves(SERVICES)] == [
        {"host_registry", "scheduler", "zone_manager", "session_manager"},
        {"signaling_gateway", "prober"},
    ]


def test_a_circle_of_predecessors_is_named():
    circle = [Service("a", (), frozenset({"b"})), Service("b", (), frozenset({"a"}))]
    with pytest.raises(ValueError, match="wait for one another: a, b"):
        list(waves(circle))
