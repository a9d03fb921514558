"""The program's source, as it runs here: the AGPL-3.0 (section 13) gives it to whoever uses it."""

import io
import threading
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

_NAME = "understudy"
_PACKAGES = ("serving", "handlers", "proto", "distill_jobs", "understudy")
_BESIDE = ("LICENSE", "README.md", "pyproject.toml", "requirements.lock", "Makefile")
# Of a checkout. Whatever else lies in its folders is somebody's own: an environment, a key, notes.
_SOURCES = frozenset({".py", ".pyi", ".proto", ".j2", ".css", ".ini", ".mako", ".typed"})
# What a wheel holds besides: weights, and what installing it wrote.
_LEFT_OUT = frozenset({".pyc", ".pt", ".json", ""})
# Whatever a file's age, the same source makes the same bytes.
_AGE = (1980, 1, 1, 0, 0, 0)
_once = threading.Lock()


def source_zip() -> bytes:
    """Return the packages' files, zipped. Reads them once: call it in a thread."""
    with _once:
        return _zipped()


@cache
def _zipped() -> bytes:
    found = _installed() or _checked_out()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(found):
            entry = zipfile.ZipInfo(f"{_NAME}/{name}", _AGE)
            archive.writestr(entry, found[name].read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _installed() -> dict[str, Path]:
    """Return what the wheel brought, by its record; nothing where none was installed."""
    try:
        files = distribution(_NAME).files or []
    except PackageNotFoundError:
        return {}
    found = {
        "/".join(one.parts[1:]) if one.parts[0].endswith(".dist-info") else str(one): one
        for one in files
        if one.suffix not in _LEFT_OUT or one.name in {"LICENSE", "METADATA"}
    }
    if not any(name.startswith("serving/") for name in found):
        return {}
    paths = {name: Path(str(one.locate())) for name, one in found.items()}
    return {name: path for name, path in paths.items() if path.is_file()}


def _checked_out() -> dict[str, Path]:
    specs = [find_spec(package) for package in _PACKAGES]
    roots = [Path(one) for spec in specs if spec for one in spec.submodule_search_locations or ()]
    found = {str(path.relative_to(root.parent)): path for root in roots for path in sources(root)}
    beside = Path(__file__).parents[2]
    return found | {name: beside / name for name in _BESIDE if (beside / name).is_file()}


def sources(root: Path) -> list[Path]:
    """Return a package's own files: of the kinds that its source has, in no hidden folder."""
    return [
        path
        for path in root.rglob("*")
        if path.suffix in _SOURCES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
        and not path.is_symlink()
    ]
