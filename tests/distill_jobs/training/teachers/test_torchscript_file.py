import zipfile
from pathlib import Path

import pytest
import torch

from distill_jobs.errors import CheckpointRefused
from distill_jobs.training.teachers.torchscript_file import read_torchscript


class Plain(torch.nn.Module):
    """Has weights, whose archive's tensors are to survive, and layers with numbers for names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.SiLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    torch.jit.trace(Plain(), torch.zeros(1, 3, 8, 8)).save(
        str(tmp_path / "genuine.torchscript"), _extra_files={"config.txt": "{}"}
    )
    return tmp_path / "genuine.torchscript"


def with_line(archive: Path, line: str) -> Path:
    """Write an archive anew, a line before each function's end."""
    target = archive.with_name("evil.torchscript")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as written:
        for name in source.namelist():
            part = source.read(name)
            if name.endswith(".py"):
                part = part.replace(b"    return ", f"    {line}\n    return ".encode())
            if not name.endswith("debug_pkl"):
                written.writestr(name, part)
    return target


def test_what_was_looked_at_is_what_torch_loads(archive: Path):
    with zipfile.ZipFile(archive) as parts:
        program = b"".join(parts.read(name) for name in parts.namelist() if name.endswith(".py"))
    assert b"getattr(" in program  # what exporters write is not refused
    images = torch.rand(1, 3, 8, 8)
    expected = torch.jit.load(str(archive))(images)

    read = read_torchscript(archive)
    archive.write_bytes(b"another file by now")

    assert torch.equal(torch.jit.load(read.content)(images), expected)
    assert read.config == b"{}"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("torch.save(1, OWNED)", "save"),
        ("ops.aten.save(1, OWNED)", "save"),
        ("t = torch\n    t . save(1, OWNED)", "save"),
        ('getattr(torch, "save")(1, OWNED)', "save"),
        ('getattr(torch, "sa\\166e")(1, OWNED)', "getattr"),
        ('getattr(torch, "sa" "ve")(1, OWNED)', "getattr"),
        ("getattr(torch, 'sa' 've')(1, OWNED)", "getattr"),
        ('getattr(torch, "sa" # ,\n    "ve")(1, OWNED)', "getattr"),
        ('other = torch.from_file("/etc/hostname", False, 4)', "from_file"),
        ("ops.image.write_file(OWNED, input)", "ops"),
        ("o = ops\n    o.image.write_file(OWNED, input)", "ops"),
        ("s = __torch__.torch.classes.quantized.Conv2dPackedParamsBase", "torch.classes"),
        ("s = (__torch__.torch. # \n    classes.quantized.X)", "torch. classes"),
    ],
)
def test_a_program_that_could_reach_files_is_refused(
    archive: Path, tmp_path: Path, line: str, named: str
):
    from distill_jobs.training.teachers.exported import load_torchscript

    evil = with_line(archive, line.replace("OWNED", f'"{tmp_path / "owned"}"'))

    with pytest.raises(CheckpointRefused, match=rf"its program names `{named}`.*Export it to ONNX"):
        load_torchscript(evil, "yolov8")

    assert not (tmp_path / "owned").exists()


def test_a_program_is_one_however_its_file_s_name_is_written(archive: Path, tmp_path: Path):
    """Torch looks for files of an archive without regard to case."""
    from distill_jobs.training.teachers.exported import load_torchscript

    evil = tmp_path / "evil.torchscript"
    with zipfile.ZipFile(with_line(archive, f'torch.save(1, "{tmp_path / "owned"}")')) as source:
        parts = {name.replace(".py", ".PY"): source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(evil, "w") as written:
        for name, part in parts.items():
            written.writestr(name, part)
    torch.jit.load(str(evil))(torch.zeros(1, 3, 8, 8))  # without the check, the file is written
    (tmp_path / "owned").unlink()

    with pytest.raises(CheckpointRefused, match=r"its program names `save` \(.*\.PY\)"):
        load_torchscript(evil, "yolov8")

    assert not (tmp_path / "owned").exists()


def test_a_class_s_name_may_be_broken_in_a_pickle(archive: Path):
    with zipfile.ZipFile(archive, "a") as parts:
        parts.writestr("genuine/other.pkl", b"c__torch__.torch\nclasses.quantized.Params\n.")

    with pytest.raises(CheckpointRefused, match="torch classes"):
        read_torchscript(archive)


@pytest.mark.parametrize("name", ["model.json", "MODEL.JSON"])
def test_an_archive_that_may_call_anything_a_program_is_refused(archive: Path, name: str):
    with zipfile.ZipFile(archive, "a") as parts:
        parts.writestr(f"genuine/{name}", "{}")

    with pytest.raises(CheckpointRefused, match=r"before 1\.4: export it anew"):
        read_torchscript(archive)


@pytest.mark.parametrize(
    ("packing", "size", "told"),
    [
        (zipfile.ZIP_DEFLATED, 64 * 1024**2 + 1, "would have 67108865 bytes; at most 67108864"),
        (zipfile.ZIP_BZIP2, 1, "is packed as torch never packs"),
    ],
)
def test_what_could_unpack_to_any_size_is_not_unpacked(
    archive: Path, packing: int, size: int, told: str
):
    with zipfile.ZipFile(archive, "a", packing) as parts:
        parts.writestr("genuine/data/99", bytes(size))

    with pytest.raises(CheckpointRefused, match=f"data/99 {told}"):
        read_torchscript(archive)


def test_torch_itself_would_run_it(archive: Path, tmp_path: Path):
    """What the check is for: without it, the file is written."""
    line = f'torch.save(1, "{tmp_path / "owned"}")'

    torch.jit.load(str(with_line(archive, line)))(torch.zeros(1, 3, 8, 8))

    assert (tmp_path / "owned").exists()


def test_a_pickle_that_calls_itself_torchscript_is_refused(tmp_path: Path):
    (tmp_path / "evil.torchscript").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")

    with pytest.raises(CheckpointRefused, match="not a readable TorchScript archive"):
        read_torchscript(tmp_path / "evil.torchscript")
