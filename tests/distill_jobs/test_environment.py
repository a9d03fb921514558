import pytest

from distill_jobs.environment import PROJECT_ROOT, data_root, expand, offline


def test_offline_forbids_network_and_installs(monkeypatch):
    monkeypatch.setenv("YOLO_OFFLINE", "0")
    monkeypatch.delenv("YOLO_AUTOINSTALL", raising=False)

    offline()

    import os

    assert os.environ["YOLO_OFFLINE"] == "1"
    assert os.environ["YOLO_AUTOINSTALL"] == "false"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert os.environ["YOLO_CONFIG_DIR"]


def test_variables_and_defaults_are_filled_in(monkeypatch):
    monkeypatch.setenv("PLACE", "here")
    monkeypatch.delenv("UNSET", raising=False)

    assert expand("a ${PLACE} b ${UNSET:-there} $PLACE") == "a here b there $PLACE"
    with pytest.raises(KeyError, match="UNSET"):
        expand("${UNSET}")


def test_the_data_root_has_a_default(monkeypatch):
    monkeypatch.delenv("UNDERSTUDY_DATA", raising=False)
    assert data_root() == PROJECT_ROOT.parent / "shared" / "data"

    monkeypatch.setenv("UNDERSTUDY_DATA", "elsewhere")
    assert expand("${UNDERSTUDY_DATA}/x") == "elsewhere/x"
