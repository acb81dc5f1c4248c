"""What zone_manager reads from its environment."""

import pytest
from zone_manager.settings import Settings


@pytest.mark.parametrize(
    "written, zones",
    [
        ("", ()),
        ("prontera", ("prontera",)),
        (" prontera, geffen ,", ("prontera", "geffen")),
        ('["prontera", "1@tower"]', ("prontera", "1@tower")),
    ],
)
def test_zones_are_listed_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, written: str, zones: tuple[str, ...]):
    monkeypatch.setenv("P2P_ENABLED_ZONES", written)
    assert Settings().p2p_enabled_zones == zones


@pytest.mark.parametrize("written", ["a/b", '["prontera"', "[1]"])
def test_what_is_no_list_of_zones_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, written: str):
    monkeypatch.setenv("P2P_ENABLED_ZONES", written)
    with pytest.raises(ValueError, match="P2P_ENABLED_ZONES"):
        Settings()


def test_players_fall_back_unless_that_is_switched_off(monkeypatch: pytest.MonkeyPatch):
    assert Settings().p2p_fallback_enabled
    monkeypatch.setenv("P2P_FALLBACK_ENABLED", "false")
    assert not Settings().p2p_fallback_enabled


def test_p2p_is_on_unless_it_is_switched_off(monkeypatch: pytest.MonkeyPatch):
    assert Settings().enable_p2p
    monkeypatch.setenv("ENABLE_P2P", "false")
    assert not Settings().enable_p2p
