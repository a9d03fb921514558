"""The program's source, as it runs here: the AGPL-3.0 (section 13) gives it to whoever uses it."""

import io
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("serving", "handlers", "proto", "distill_jobs", "understudy")
_BESIDE = ("LICENSE", "README.md", "pyproject.toml", "requirements.lock", "Makefile")
# Weights and caches are no source.
_LEFT_OUT = frozenset({".pyc", ".pt", ".onnx", ".mar"})
# Whatever a file's age, the same source makes the same bytes.
_AGE = (1980, 1, 1, 0, 0, 0)


@cache
def source_zip() -> bytes:
    """Return the packages' files, zipped. Reads them once: call it in a thread."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in _files():
            entry = zipfile.ZipInfo(f"understudy/{name}", _AGE)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files() -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for package in _PACKAGES:
        spec = find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            root = Path(place)
            found += [
                (path, str(path.relative_to(root.parent)))
                for path in sorted(root.rglob("*"))
                if path.is_file() and path.suffix not in _LEFT_OUT
            ]
            found += [(root.parent / name, name) for name in _BESIDE if package == "serving"]
    return [(path, name) for path, name in found if path.is_file()]
