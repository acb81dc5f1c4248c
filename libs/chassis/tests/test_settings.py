"""What a process reads from its environment, and how it says what is wrong with it."""

import pytest
from chassis.neighbours import UnreadableSecretError, is_link, without_links
from chassis.settings import Listed, RedisSettings, ServiceSettings, Words, shared
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict


class Settings(RedisSettings, ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HOST_REGISTRY_")

    offline_after_s: float = 45.0
    enable_p2p: bool = shared("ENABLE_P2P", default=True)
    towns: Words = ()
    ports: Listed[int] = ()


@pytest.fixture
def read(monkeypatch, tmp_path):
    def read_with(**variables: str) -> Settings:
        monkeypatch.chdir(tmp_path)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return read_with


def test_a_services_knobs_have_its_prefix_and_shared_ones_none(read):
    settings = read(HOST_REGISTRY_OFFLINE_AFTER_S="10", NATS_URL="nats://elsewhere:4222", ENABLE_P2P="false")
    assert (settings.offline_after_s, settings.nats_url, settings.enable_p2p) == (10, "nats://elsewhere:4222", False)


@pytest.mark.parametrize("written", [" 1, 2 ,", "[1, 2]", ' ["1", "2"] '])
def test_a_list_is_words_between_commas_or_json_of_whatever_its_field_holds(read, written):
    assert read(HOST_REGISTRY_PORTS=written).ports == (1, 2)
    assert read(HOST_REGISTRY_TOWNS="prontera,geffen").towns == ("prontera", "geffen")
    with pytest.raises(ValidationError):
        read(HOST_REGISTRY_PORTS="one,two")


def test_the_database_is_by_default_named_after_the_service(read):
    assert read().postgres_url == "postgresql://postgres@127.0.0.1:5432/host_registry"


def test_the_parts_of_the_databases_address_are_put_together(read):
    settings = read(
        POSTGRES_HOST="db", POSTGRES_PORT="6000", POSTGRES_DB="hosts", POSTGRES_USER="me", POSTGRES_PASSWORD="p@ss/word"
    )
    assert settings.postgres_url == "postgresql://me:p%40ss%2Fword@db:6000/hosts"


def test_a_whole_address_outweighs_its_parts(read):
    assert read(POSTGRES_HOST="db", POSTGRES_URL="postgresql://x/y").postgres_url == "postgresql://x/y"


def test_the_parts_of_rediss_address_are_put_together(read):
    assert read(REDIS_HOST="cache", REDIS_DB="3", REDIS_PASSWORD="a b").redis_url == "redis://:a%20b@cache:6379/3"


def test_an_env_file_is_read_and_the_environment_outweighs_it(read, tmp_path):
    (tmp_path / ".env").write_text("HOST_REGISTRY_OFFLINE_AFTER_S=5\nLOG_LEVEL=DEBUG\n")
    settings = read(LOG_LEVEL="ERROR")
    assert (settings.offline_after_s, settings.log_level) == (5, "ERROR")


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [
        ("HOST_REGISTRY_OFLINE_AFTER", "HOST_REGISTRY_OFFLINE_AFTER_S"),
        ("HOST_REGISTRY_X", "HOST_REGISTRY_"),
        ("POSTGRES_PASWORD", "POSTGRES_PASSWORD"),
        ("NATS_URI", "NATS_URL"),
        ("LOG_LEVELS", "LOG_LEVEL"),
        ("ENABLED_P2P", "ENABLE_P2P"),
        ("DRAIN_SECOND", "DRAIN_SECONDS"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_nearest(read, misspelt, nearest):
    with pytest.raises(ValidationError, match=f"{misspelt} is no setting; did you mean {nearest}"):
        read(**{misspelt: "1"})


def test_a_misspelt_variable_in_the_env_file_is_an_error_as_well(read, tmp_path):
    (tmp_path / ".env").write_text("HOST_REGISTRY_OFFLINE_AFTR_S=5\n")
    with pytest.raises(ValidationError, match="did you mean HOST_REGISTRY_OFFLINE_AFTER_S"):
        read()


@pytest.mark.parametrize(
    "name", ["POSTGRES_INITDB_ARGS", "NATS_CONTEXT", "ZONE_MANAGER_SEED_FILE", "PATH_X", "HTTPS_PORT", "INSTANCES"]
)
def test_what_belongs_to_other_programs_is_left_alone(read, name):
    assert read(**{name: "1"}).offline_after_s == 45


NEIGHBOURS = {
    "REDIS_PORT": "tcp://10.96.0.7:6379",
    "REDIS_PORT_6379_TCP_ADDR": "10.96.0.7",
    "REDIS_SERVICE_HOST": "10.96.0.7",
    "POSTGRES_PORT": "tcp://10.96.0.8:5432",
    "POSTGRES_SERVICE_PORT_SQL": "5432",
    "NATS_PORT": "tcp://10.96.0.9:4222",
    "NATS_PORT_4222_TCP": "tcp://10.96.0.9:4222",
    "HTTP_PORT": "udp://10.96.0.1:80",
    "HOST_REGISTRY_PORT": "tcp://10.96.0.2:80",
    "HOST_REGISTRY_SERVICE_HOST": "10.96.0.2",
    "HOST_REGISTRY_SERVICE_PORT": "80",
    "HOST_REGISTRY_PORT_80_TCP_PROTO": "tcp",
}


def test_what_kubernetes_and_docker_set_for_their_links_is_passed_by(read, tmp_path):
    (tmp_path / ".env").write_text("REDIS_PORT=7000\n")
    settings = read(**NEIGHBOURS)
    assert (settings.redis_url, settings.http_port) == ("redis://127.0.0.1:7000/0", 0)
    assert settings.postgres_url == "postgresql://postgres@127.0.0.1:5432/host_registry"


def test_a_host_of_ours_that_looks_like_a_link_is_one_where_the_link_is_there(monkeypatch):
    assert not is_link("HTTP_HOST")
    asked = {"P2P_SERVICE_HOST": "0.0.0.0", "P2P_SERVICE_PORT": "80"}
    assert without_links(asked) == asked
    assert without_links({**asked, "P2P_PORT": "tcp://10.96.0.3:80"}) == {}


@pytest.mark.parametrize("level", ["trace", "verbose", "7"])
def test_an_unknown_level_is_told_which_there_are(read, level):
    with pytest.raises(ValidationError, match=f"'{level}' is no level; choose one of DEBUG, INFO, WARNING"):
        read(LOG_LEVEL=level)


def test_parts_of_an_address_are_not_looked_at_where_the_whole_is_given(read):
    settings = read(
        POSTGRES_URL="postgresql://x/y",
        POSTGRES_PORT="none",
        POSTGRES_PASSWORD_FILE="/nowhere",
        REDIS_URL="redis://z",
        REDIS_DB="first",
    )
    assert (settings.postgres_url, settings.redis_url) == ("postgresql://x/y", "redis://z")


def test_secrets_are_read_from_files_as_the_official_images_have_it(read, tmp_path):
    for name, text in (("user", "me"), ("password", "a b\n"), ("redis", "c\r\n")):
        (tmp_path / name).write_text(text)
    settings = read(
        POSTGRES_USER_FILE=str(tmp_path / "user"),
        POSTGRES_PASSWORD_FILE=str(tmp_path / "password"),
        REDIS_PASSWORD_FILE=str(tmp_path / "redis"),
    )
    assert settings.postgres_url == "postgresql://me:a%20b@127.0.0.1:5432/host_registry"
    assert settings.redis_url == "redis://:c@127.0.0.1:6379/0"


def test_a_secret_in_two_places_or_in_none_is_one_line(read, tmp_path):
    with pytest.raises(UnreadableSecretError, match="POSTGRES_PASSWORD_FILE: /nowhere cannot be read: No such file"):
        read(POSTGRES_PASSWORD_FILE="/nowhere")
    with pytest.raises(UnreadableSecretError, match="POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set"):
        read(POSTGRES_PASSWORD="x")


def test_settings_are_frozen(read):
    settings = read()
    with pytest.raises(ValidationError):
        settings.offline_after_s = 1


def test_no_password_is_shown(read):
    assert "hunter2" not in repr(read(POSTGRES_PASSWORD="hunter2", REDIS_PASSWORD="hunter2"))


def test_tests_may_give_values_by_name():
    assert Settings(nats_url="nats://n", postgres_url="postgresql://p", instance="i").instance == "i"


def test_a_credentials_file_that_is_no_good_ends_the_start_with_what_to_do(read, tmp_path):
    (tmp_path / "other.creds").write_text("what is this")
    with pytest.raises(ValidationError, match=r"(?s)none.creds cannot be read.*p2p nats configure"):
        read(NATS_CREDS=str(tmp_path / "none.creds"))
    with pytest.raises(ValidationError, match="no NATS credentials file"):
        read(NATS_CREDS=str(tmp_path / "other.creds"))
