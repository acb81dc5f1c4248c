"""Rules: what a player's offer and candidates may look like."""

import pytest
from sdk.descriptions import answer_like, candidate_of, configuration, offer_of

LINE = "candidate:1 1 udp 2113937151 192.0.2.2 47790 typ host generation 0"


@pytest.mark.parametrize(
    ("candidate", "mid", "index"),
    [
        (LINE, None, 0),
        ("a=" + LINE, None, 0),
        ({"candidate": LINE}, None, 0),
        ({"candidate": LINE, "sdpMid": "0", "sdpMLineIndex": 0}, "0", 0),
        ({"candidate": LINE, "sdpMid": "data", "usernameFragment": "x"}, "data", None),
    ],
)
def test_a_candidate_is_text_or_a_browsers_object(candidate, mid, index):
    read = candidate_of(candidate)
    assert read is not None
    assert (read.ip, read.port, read.type, read.sdpMid, read.sdpMLineIndex) == ("192.0.2.2", 47790, "host", mid, index)


@pytest.mark.parametrize("mark", [None, "", "candidate:", {"candidate": ""}])
def test_the_mark_that_no_more_will_come_is_no_candidate(mark):
    assert candidate_of(mark) is None


@pytest.mark.parametrize(
    "offer", ["v=0\r\na=end-of-candidates\r\n", {"type": "offer", "sdp": "v=0\na=end-of-candidates"}]
)
def test_an_offer_is_text_or_an_object_and_never_says_that_no_more_will_come(offer):
    assert offer_of(offer).sdp == "v=0\r\n"


def test_an_answer_has_the_form_of_its_offer():
    answer = offer_of("v=0")
    assert answer_like("v=0", answer) == "v=0\r\n"
    assert answer_like({"sdp": "v=0"}, answer) == {"type": "offer", "sdp": "v=0\r\n"}


def test_no_server_is_used_that_was_not_given():
    assert configuration(()).iceServers == []
