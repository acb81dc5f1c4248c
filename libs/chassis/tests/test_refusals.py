"""Each code means something everywhere."""

from chassis.refusals import HTTP_STATUS
from contracts.refusals import Code


def test_every_code_has_an_http_status():
    assert set(HTTP_STATUS) == set(Code)


def test_every_status_is_an_error():
    assert all(status >= 400 for status in HTTP_STATUS.values())
