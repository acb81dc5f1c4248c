import pytest
from traces.settings import BadSettingError, Settings


def test_a_link_of_kubernetes_is_no_port():
    assert Settings.read({"TRACES_PORT": "tcp://10.96.0.5:4318"}).port == 4318
    assert Settings.read({"TRACES_PORT": "15000"}).port == 15000


def test_what_is_no_number_is_named():
    with pytest.raises(BadSettingError, match="TRACES_PORT='first' is not a number"):
        Settings.read({"TRACES_PORT": "first"})
