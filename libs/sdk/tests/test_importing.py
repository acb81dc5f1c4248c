"""What a program imports with the SDK."""

import subprocess
import sys

import pytest
import sdk


def test_a_game_server_does_not_pay_for_webrtc():
    program = "import sys; from sdk import AiServer, GameServer; sys.exit('aiortc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", sdk.__all__)
def test_every_name_that_is_promised_is_there(name):
    assert getattr(sdk, name)


def test_a_name_that_is_not_there_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="module 'sdk' has no attribute 'Nothing'"):
        sdk.Nothing  # noqa: B018
