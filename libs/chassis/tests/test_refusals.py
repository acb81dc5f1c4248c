"""Each code means something everywhere."""

from chassis.refusals import HTTP_STATUS, WEBSOCKET_CLOSE
from contracts.refusals import Code


def test_every_code_has_an_http_status():
    assert set(HTTP_STATUS) == set(Code)


def test_every_status_is_an_error():
    assert all(status >= 400 for status in HTTP_STATUS.values())


def test_only_close_codes_of_the_protocol_are_used():
    assert set(WEBSOCKET_CLOSE.values()) <= {1008, 1011, 1013}
