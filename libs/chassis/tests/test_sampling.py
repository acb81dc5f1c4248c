"""Which traces are kept."""

from chassis.sampling import ALWAYS, NEVER, Rate, Sampling, UpTo


def test_always_and_never_mean_it():
    assert all(ALWAYS.admits() for _ in range(1000))
    assert not any(NEVER.admits() for _ in range(1000))


def test_a_rate_keeps_what_chance_puts_below_it():
    chances = iter([0.009, 0.01, 0.5, 0.0])
    rate = Rate(0.01, chance=lambda: next(chances))
    assert [rate.admits() for _ in range(4)] == [True, False, False, True]


def test_up_to_keeps_that_many_each_second_and_then_the_rate():
    now = 100.0
    policy = UpTo(20, then=0.01, chance=lambda: 0.5, monotonic=lambda: now)
    assert sum(policy.admits() for _ in range(100)) == 20
    now += 0.5
    assert sum(policy.admits() for _ in range(100)) == 10
    now += 3600
    assert sum(policy.admits() for _ in range(100)) == 20


def test_up_to_leaves_the_rest_to_chance():
    policy = UpTo(1, then=0.01, chance=lambda: 0.001, monotonic=lambda: 0.0)
    assert all(policy.admits() for _ in range(100))


def test_each_kind_of_message_has_its_policy_and_the_others_theirs():
    sampling = Sampling({"join": ALWAYS}, otherwise=NEVER)
    assert sampling.keeps("join")
    assert not sampling.keeps("beat")
