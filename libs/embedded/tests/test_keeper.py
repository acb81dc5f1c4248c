from itertools import islice

from embedded.keeper import LONGEST_PAUSE_S, _pauses


def test_the_first_restart_is_at_once_and_pauses_grow_to_a_limit():
    pauses = list(islice(_pauses(), 10))
    assert pauses[:4] == [0, 0.5, 1, 2]
    assert pauses[-1] == LONGEST_PAUSE_S
