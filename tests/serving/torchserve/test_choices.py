"""What serving tells the workers of a card, as files of a private folder."""

from pathlib import Path

from serving.torchserve.choices import Choices


def said(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_asked_is_written_for_one_card_and_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "choices"
    choices = Choices(folder, backends=2)

    choices.ask("one", variant="openvino-int8", threads=3, workers=2)
    choices.ask("other", variant=None, threads=None, workers=1)

    first = {"pin-one": "openvino-int8", "threads-one": "3", "workers-one": "4"}
    assert said(folder) == first | {"workers-other": "2"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700

    choices.ask("one", variant=None, threads=None, workers=1)
    assert said(folder) == {"workers-one": "2", "workers-other": "2"}


def test_a_fault_of_before_is_forgotten_when_it_is_asked_anew(tmp_path: Path) -> None:
    choices = Choices(tmp_path / "choices")
    choices.ask("card", variant=None, threads=None, workers=1)
    (choices.folder / "fault-card").write_text(" it lacks OpenVINO \n")
    assert choices.fault("card") == "it lacks OpenVINO"

    choices.ask("card", variant=None, threads=None, workers=1)
    assert choices.fault("card") == ""
