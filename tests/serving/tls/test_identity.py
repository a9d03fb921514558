import shutil
from pathlib import Path

import pytest
from certificates import Authority, key_pem
from cryptography.hazmat.primitives.asymmetric import ec

from serving.errors import ConfigurationError
from serving.tls.client_tls import ClientTls, context_for
from serving.tls.files import TlsFiles
from serving.tls.identity import Identity, refuse_open_key
from serving.tls.server_tls import ServerTls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_certificate_its_key_and_the_clients_authority_are_read(authority: Authority) -> None:
    issued = authority.issue(days=3)

    identity = Identity.read(authority.files(issued, clients=True))

    assert identity.ends["server"] == issued.ends
    assert identity.ends["clients"] > issued.ends
    assert identity.client_ca_pem == authority.file.read_bytes()
    assert "PRIVATE" not in repr(identity)


def test_a_file_that_is_not_there_is_named_with_its_setting(authority: Authority) -> None:
    issued = authority.issue()
    issued.key.unlink()

    with pytest.raises(
        ConfigurationError, match=r"UNDERSTUDY_TLS_KEY_FILE.*\.key cannot be read: No such file"
    ):
        Identity.read(authority.files(issued))


@pytest.mark.parametrize("which", ["cert", "key", "client_ca"])
def test_a_file_that_is_no_pem_is_refused(authority: Authority, tmp_path: Path, which: str) -> None:
    issued, nonsense = authority.issue(), tmp_path / "nonsense.pem"
    nonsense.write_bytes(b"\x30\x82nonsense")
    given = {"cert": issued.cert, "key": issued.key, which: nonsense}

    with pytest.raises(ConfigurationError, match=f"tls_{which}_file.*holds no PEM"):
        Identity.read(TlsFiles(**given))


def test_the_key_of_another_certificate_is_refused(authority: Authority) -> None:
    one, other = authority.issue(), authority.issue()

    with pytest.raises(ConfigurationError, match="is not that of the first certificate"):
        Identity.read(TlsFiles(one.cert, other.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    authority: Authority, tmp_path: Path
) -> None:
    issued = authority.issue()
    issued.key.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))

    with pytest.raises(ConfigurationError, match="is encrypted"):
        Identity.read(authority.files(issued))
    with pytest.raises(ConfigurationError, match=r"TLS: .*\.key"):
        authority.client(issued).context()


def test_a_certificate_that_is_over_is_read_and_refused_only_where_that_is_asked(
    authority: Authority,
) -> None:
    files = authority.files(authority.issue(days=-1))

    identity = Identity.read(files)

    with pytest.raises(ConfigurationError, match=r"UNDERSTUDY_TLS_CERT_FILE.*ended at .*renew it"):
        identity.refuse_over()
    # A process that comes back must not make an outage of it.
    assert ServerTls(files).identity == identity


@pytest.mark.parametrize(("mode", "refused"), [(0o600, False), (0o440, False), (0o644, True)])
def test_a_key_that_everybody_may_read_is_refused(
    authority: Authority, mode: int, refused: bool
) -> None:
    key = authority.issue().key
    key.chmod(mode)

    if not refused:
        refuse_open_key(key, None)
        return
    with pytest.raises(ConfigurationError, match=r"everybody on this machine.*chmod 0600"):
        refuse_open_key(key, None)
    # A container's secrets have modes that are not ours to choose, and no other readers.
    refuse_open_key(key, key.parent)


def test_an_authority_that_ended_beside_a_good_one_is_not_what_is_told(tmp_path: Path) -> None:
    authority, old = Authority(tmp_path), Authority(tmp_path, "old")
    issued = authority.issue()
    both = tmp_path / "both.pem"
    ended = old.issue("was an authority", days=-1)
    both.write_bytes(ended.cert.read_bytes() + authority.file.read_bytes())

    identity = Identity.read(TlsFiles(issued.cert, issued.key, both))

    assert identity.ends["clients"] > issued.ends


def test_a_client_s_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="UNDERSTUDY_CLIENT_KEY_FILE"):
        ClientTls(cert=tmp_path / "cert.pem")


def test_what_is_not_there_is_named_by_the_client_too(authority: Authority) -> None:
    shutil.rmtree(authority.file.parent)

    assert context_for(["http://127.0.0.1:1"], authority.client()) is True
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        context_for(["https://127.0.0.1:1"], authority.client())
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        authority.client().pem()
