"""Which certificate authorities are trusted, and what is said of a bundle that cannot be used."""

import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from s3_uploader import ConfigError, UploadConfig
from s3_uploader.store.trust import tls_context

_VARIABLES = ["S3_UPLOADER_CA_BUNDLE", "AWS_CA_BUNDLE"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """A server that makes one handshake, with a certificate for "localhost" only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(20)
        with connection:
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        yield listener.getsockname()[1]
        server.join(20)


def _handshake(context: ssl.SSLContext, port: int, name: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
        context.wrap_socket(connection, server_hostname=name),
    ):
        pass


def _named_by(variable: str, path: Path | str, monkeypatch: pytest.MonkeyPatch) -> UploadConfig:
    monkeypatch.setenv(variable, str(path))
    return UploadConfig.load()


@pytest.mark.parametrize("variable", _VARIABLES)
def test_named_authority_is_trusted_for_the_name_of_its_certificate(
    variable: str, bundle: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _handshake(tls_context(_named_by(variable, bundle, monkeypatch)), port, "localhost")


def test_bundle_of_an_aws_profile_is_trusted(bundle: Path, port: int) -> None:
    _handshake(tls_context(UploadConfig(), aws_config=str(bundle)), port, "localhost")


def test_name_not_in_the_certificate_is_refused(bundle: Path, port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        _handshake(tls_context(UploadConfig(ca_bundle=str(bundle))), port, "example.com")


def test_unnamed_authority_is_refused(port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        _handshake(tls_context(UploadConfig()), port, "localhost")


def test_setting_beats_the_aws_variable_and_that_the_aws_profile(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls_context(_named_by("AWS_CA_BUNDLE", bundle, monkeypatch), aws_config="/no/such/file")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    tls_context(_named_by("S3_UPLOADER_CA_BUNDLE", bundle, monkeypatch))


@pytest.mark.parametrize("content", ["", "no certificate", "key", "cut"])
@pytest.mark.parametrize("variable", _VARIABLES)
def test_bundle_without_usable_certificates_is_named(
    variable: str,
    content: str,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pem = authority.cert_pem.bytes().decode()
    texts = {
        "key": authority.private_key_pem.bytes().decode(),
        "cut": pem[: len(pem) // 2] + "\n-----END CERTIFICATE-----\n",
    }
    file = tmp_path / "bundle"
    file.write_text(texts.get(content, content))
    with pytest.raises(ConfigError) as caught:
        tls_context(_named_by(variable, file, monkeypatch))
    assert caught.value.code == "config.ca_not_pem"
    assert variable in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("place", ["missing", "directory", "fifo"])
def test_bundle_that_is_no_file_is_named(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError) as caught:
        tls_context(_named_by("AWS_CA_BUNDLE", tmp_path / place, monkeypatch))
    missing = place == "missing"
    assert caught.value.code == ("config.ca_unreadable" if missing else "config.ca_not_pem")
    assert "AWS_CA_BUNDLE" in str(caught.value)
    assert str(tmp_path / place) in str(caught.value)


def test_bundle_named_in_code_is_called_by_the_setting(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ConfigError, match="set by ca_bundle"):
        tls_context(UploadConfig(ca_bundle=str(tmp_path / "x")))


def test_system_authorities_hold_where_packages_have_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian ships certifi and botocore."""
    for package in ("certifi", "botocore"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    context = tls_context(UploadConfig())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()
