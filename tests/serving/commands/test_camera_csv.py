from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.commands.camera_csv import CameraRow, CsvRejected, read_cameras


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "cameras.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def complaints(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(CsvRejected) as rejected:
        read_cameras(written(folder, text))
    return rejected.value.complaints


def test_rows_hold_what_the_file_says(tmp_path: Path) -> None:
    text = (
        "\ufeffid, group,expected_fps,note\r\n"
        'gate-7,"north, gate",12.5,"two\nlines"\r\n'
        "\r\n"
        "a/b,,,\n"
    )

    assert read_cameras(written(tmp_path, text)) == [
        CameraRow("gate-7", {"group": "north, gate", "expected_fps": 12.5, "note": "two\nlines"}),
        CameraRow("a/b", {"group": "", "expected_fps": None, "note": ""}),
    ]


def test_columns_that_are_missing_say_nothing(tmp_path: Path) -> None:
    assert read_cameras(written(tmp_path, "note,id\nnew,a\n")) == [CameraRow("a", {"note": "new"})]
    assert read_cameras(written(tmp_path, "id\n")) == []


def test_every_fault_is_told_with_its_line_and_column(tmp_path: Path) -> None:
    text = (
        "id,group,expected_fps\n"
        "gate 7,north,5\n"
        f"a,{'g' * 65},fast\n"
        "b,north,0\n"
        "c,north\n"
        "d,north,5\n"
        "d,south,5\n"
        ",north,5\n"
        "e,north,nan\n"
    )

    told = complaints(tmp_path, text)

    places = [": ".join(one.split(": ")[:2]) for one in told]
    assert places == [
        "cameras.csv:2: id",
        "cameras.csv:3: group",
        "cameras.csv:3: expected_fps",
        "cameras.csv:4: expected_fps",
        "cameras.csv:5: 2 cells, and the first line names 3 columns",
        "cameras.csv:7: id",
        "cameras.csv:8: id",
        "cameras.csv:9: expected_fps",
    ]
    assert "'fast'" in told[2]
    assert "greater than 0, not 0" in told[3]
    assert told[5] == "cameras.csv:7: id: 'd' stands on line 6 already"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cameras.csv:1: id: this column is missing"),
        ("name,group\n", "cameras.csv:1: name: no such column; there are id, group"),
        ("id,id\n", "cameras.csv:1: id: named twice"),
        ('id\n"a\n', "cameras.csv:2: not readable as CSV"),
        (b"id\n\xff\n", "cameras.csv:2: not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert complaints(tmp_path, text)[0].startswith(says)


def test_many_faults_are_cut_short(tmp_path: Path) -> None:
    told = complaints(tmp_path, "id\n" + "a b\n" * 500)

    assert len(told) == 21
    assert told[-1].startswith("and ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CsvRejected, match="cannot be read: No such file"):
        read_cameras(tmp_path / "cameras.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60) | st.text(',"\n\r ab\x00', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, body: bytes) -> None:
    for head in (b"", b"id,group,expected_fps,note\n"):
        path = written(tmp_path, head + body)
        try:
            rows = read_cameras(path)
        except CsvRejected as rejected:
            assert rejected.complaints  # noqa: PT017 - either outcome is right
        else:
            assert all(row.id for row in rows)
