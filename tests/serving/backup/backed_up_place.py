"""A state folder and its store, with everything there that a deployment leaves."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from full_store import fill

from serving.backup.make import Source
from serving.backup.put_back import Target
from serving.store.store import open_store


@dataclass(frozen=True)
class Place:
    """A state folder and its store.

    Attributes:
        store_url: Of the store.
        state: The folder.
        trusted_key: Where the machine looks for its only public key.
    """

    store_url: str
    state: Path
    trusted_key: Path

    @property
    def archives(self) -> Path:
        return self.state / "archives"

    def source(self, admin_key: Path | None = None) -> Source:
        return Source(self.store_url, self.archives, (self.trusted_key,), admin_key)

    def target(self) -> Target:
        return Target(self.store_url, self.state, self.archives, (self.trusted_key,))

    async def furnish(self) -> None:
        """Have everything there that a deployment leaves; archives are named by their digest."""
        self.archives.mkdir(parents=True)
        async with open_store(self.store_url) as store:
            await fill(store)
            for number, release in enumerate(await store.releases()):
                sha256 = place_archive(self.archives, bytes([number]) * 3_000_000)
                await store.put_release(release.model_copy(update={"sha256": sha256}))
        (self.state / "admin.key").write_text("us_id_the-admin-s-secret\n")
        self.trusted_key.write_text("-----BEGIN PUBLIC KEY-----\n")

    def files(self) -> dict[str, bytes]:
        """Return every file of the folder, the store's and the lock left out."""
        return {
            str(path.relative_to(self.state)): path.read_bytes()
            for path in sorted(self.state.rglob("*"))
            if path.is_file() and not path.name.startswith(("store.sqlite3", "serve.lock"))
        }


def place_archive(folder: Path, content: bytes) -> str:
    """Put a private copy into a folder and return its digest."""
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{sha256}.mar").write_bytes(content)
    return sha256
