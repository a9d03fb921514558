from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.settings import Settings, explain, read_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STATE_DIR", "MODEL_STORE", "TRUSTED_KEYS", "HTTP_PORT", "AUTH", "READY_FILE"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))


def test_everything_has_a_default_below_one_home(tmp_path: Path) -> None:
    settings = Settings()

    assert settings.state_dir == tmp_path / "serve"
    assert settings.trusted_keys == (tmp_path / "signing-key.pub.pem",)
    assert (settings.host, settings.http_port, settings.auth) == ("127.0.0.1", 8080, True)
    assert settings.store_url == f"sqlite+aiosqlite:///{tmp_path}/serve/store.sqlite3"


def test_the_environment_sets_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_HTTP_PORT", "9000")
    monkeypatch.setenv("UNDERSTUDY_AUTH", "false")

    assert Settings().http_port == 9000
    assert Settings().auth is False
    assert Settings(http_port=0).http_port == 0


def test_trusted_keys_are_written_as_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_TRUSTED_KEYS", "/a/one.pem:/b/two.pem")

    assert Settings().trusted_keys == (Path("/a/one.pem"), Path("/b/two.pem"))


def test_paths_are_absolute_since_torchserve_runs_elsewhere() -> None:
    assert Settings(model_store=Path("model_store")).model_store == Path.cwd() / "model_store"


@pytest.mark.parametrize(
    ("name", "value"),
    [("http_port", 70000), ("image_limit_bytes", 0), ("waiting_room", -1), ("gateways", 0)],
)
def test_a_value_beyond_its_limit_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_the_store_s_file_is_absolute_and_another_database_s_url_stays() -> None:
    postgres = "postgresql+psycopg://me:secret@db/understudy"

    assert Settings(store_url="sqlite+aiosqlite:///a/s.db").store_url == (
        f"sqlite+aiosqlite:///{Path.cwd()}/a/s.db"
    )
    assert Settings(store_url=postgres).store_url == postgres
    assert "secret" not in repr(Settings(store_url=postgres))


def test_a_process_reads_back_what_another_wrote(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, trusted_keys=(Path("/a"), Path("/b")), gateways=3)

    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="htpp_port"):
        Settings(htpp_port=1)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().http_port = 1  # type: ignore[misc] # that is what is shown


def test_nothing_is_harvested_unless_a_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERSTUDY_HARVEST_DIR", raising=False)
    assert Settings().harvest_plan is None

    monkeypatch.setenv("UNDERSTUDY_HARVEST_DIR", "harvest")
    monkeypatch.setenv("UNDERSTUDY_HARVEST_MAX_MB", "20")
    monkeypatch.setenv("UNDERSTUDY_HARVEST_BELOW_F1", "0.7")
    plan = Settings().harvest_plan

    assert plan is not None
    assert plan.folder == Path.cwd() / "harvest"
    assert (plan.max_bytes, plan.below_f1, plan.max_age_days) == (20_000_000, 0.7, 30)


def test_hosts_of_workers_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WORKERS", "w-0.workers, w-1.workers\nw-2.workers")

    assert Settings().workers == ("w-0.workers", "w-1.workers", "w-2.workers")
    assert Settings().worker_hosts == Settings().workers


def test_a_name_may_stand_for_all_hosts_that_it_resolves_to() -> None:
    settings = Settings(workers="w-0 dns:workers.example")

    assert settings.worker_hosts == ("w-0",)
    assert settings.worker_names == ("workers.example",)
    with pytest.raises(ValidationError) as told:
        Settings(workers="dns: workers.example")
    assert "UNDERSTUDY_WORKERS" in explain(told.value)
    assert "dns: needs a name right after it" in explain(told.value)


@pytest.mark.parametrize("part", ["gateway", "controller"])
def test_a_part_alone_must_be_told_of_its_workers_and_the_store(part: str) -> None:
    store = {"store_url": "postgresql+psycopg://db/understudy"}

    with pytest.raises(ValidationError) as told:
        Settings(part=part, **store)
    assert explain(told.value) == (
        f"`understudy serve {part}` runs without the other parts: set UNDERSTUDY_WORKERS to the "
        "hosts of its workers"
    )
    with pytest.raises(ValidationError, match="UNDERSTUDY_STORE_URL"):
        Settings(part=part, workers="w-0")
    assert Settings(part=part, workers="w-0", **store).workers == ("w-0",)


def test_a_secret_comes_from_a_file_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("UNDERSTUDY_STORE_URL", raising=False)
    monkeypatch.setenv("UNDERSTUDY_SECRETS_DIR", str(tmp_path))
    (tmp_path / "UNDERSTUDY_STORE_URL").write_text("postgresql+psycopg://me:secret@db/u\n")

    assert read_settings().store_url == "postgresql+psycopg://me:secret@db/u"
    monkeypatch.setenv("UNDERSTUDY_STORE_URL", "postgresql+psycopg://other/u")
    assert read_settings().store_url == "postgresql+psycopg://other/u"
