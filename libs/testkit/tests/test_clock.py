from datetime import timedelta

import pytest


def test_time_stands_still_until_it_is_moved(clock):
    before = clock.now()
    assert clock.now() == before
    assert clock.advance(timedelta(seconds=20)) == before + timedelta(seconds=20) == clock.now()


def test_time_is_aware(clock):
    assert clock.now().utcoffset() == timedelta(0)


def test_time_does_not_go_back(clock):
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))
