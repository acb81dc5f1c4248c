"""The zones of a new installation."""

from pathlib import Path

import pytest
from zone_manager.seeds import SeedsError, chosen, read_seeds
from zone_manager.settings import Settings

from services.zone_manager.tests.examples import host, put_zone

SHIPPED = read_seeds(Settings.model_fields["seeds"].default)


def test_the_seven_towns_are_shipped():
    towns = {"prontera", "geffen", "payon", "morocc", "alberta", "aldebaran", "izlude"}
    assert {seed.zone_id for seed in SHIPPED} == towns


@pytest.mark.parametrize("seed", SHIPPED, ids=lambda seed: seed.zone_id)
def test_the_documented_host_fits_every_shipped_zone(seed):
    documented = host()
    assert documented.quality_score >= seed.min_host_quality_score
    assert documented.network_speed_mbps >= seed.min_bandwidth_mbps
    assert seed.max_players >= 50
    assert seed.p2p_enabled
    assert seed.regions == ()


def test_names_in_p2p_enabled_zones_choose_which_zones_hosts_serve():
    seeds = [put_zone("prontera"), put_zone("geffen")]
    zones = chosen(seeds, ["geffen", "glast_heim", "glast_heim"])
    assert [(zone.zone_id, zone.p2p_enabled) for zone in zones] == [
        ("prontera", False),
        ("geffen", True),
        ("glast_heim", True),
    ]
    assert zones[2].map_name == "glast_heim"


def test_without_names_the_seeds_are_taken_as_they_are():
    seeds = [put_zone("prontera"), put_zone("geffen", p2p_enabled=False)]
    assert chosen(seeds, ()) == seeds


def test_an_empty_file_is_no_zones(tmp_path: Path):
    path = tmp_path / "seeds.yaml"
    path.write_text("# none\n")
    assert read_seeds(path) == ()


@pytest.mark.parametrize(
    "text, why",
    [("- zone_id: prontera\n", "zone_name"), ("prontera: yes", "tuple"), ("- [", "malformed")],
)
def test_a_malformed_file_says_which_and_where(tmp_path: Path, text: str, why: str):
    path = tmp_path / "seeds.yaml"
    path.write_text(text)
    with pytest.raises(SeedsError, match=f"(?s){path}.*{why}"):
        read_seeds(path)


def test_a_missing_file_says_which(tmp_path: Path):
    with pytest.raises(SeedsError, match=r"none\.yaml can't be read: No such file"):
        read_seeds(tmp_path / "none.yaml")
