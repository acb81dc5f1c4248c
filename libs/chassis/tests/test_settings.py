"""What a process reads from its environment, and how it says what is wrong with it."""

import pytest
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
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_nearest(read, misspelt, nearest):
    with pytest.raises(ValidationError, match=f"{misspelt} is no setting; did you mean {nearest}"):
        read(**{misspelt: "1"})


def test_a_misspelt_variable_in_the_env_file_is_an_error_as_well(read, tmp_path):
    (tmp_path / ".env").write_text("HOST_REGISTRY_OFFLINE_AFTR_S=5\n")
    with pytest.raises(ValidationError, match="did you mean HOST_REGISTRY_OFFLINE_AFTER_S"):
        read()


@pytest.mark.parametrize("name", ["POSTGRES_INITDB_ARGS", "NATS_CONTEXT", "ZONE_MANAGER_SEED_FILE", "PATH_X"])
def test_what_belongs_to_other_programs_is_left_alone(read, name):
    assert read(**{name: "1"}).offline_after_s == 45


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
