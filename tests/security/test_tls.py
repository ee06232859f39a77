"""A peer that cannot prove who it is gets no request: certificates are verified always, and no setting says otherwise."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests.adapters
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import Misconfigured
from app.transport import HttpClient

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Authority:
    """Signs certificates, and is believed where its own is in the bundle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        builder = self._builder(self._name, self._key, until=NOW + DAY)
        own = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 10 * DAY)
            .not_valid_after(until)
        )

    def certificate(
        self, *, address: str = "127.0.0.1", until: datetime = NOW + DAY, own: bool = False
    ) -> Path:
        """A file with key and certificate for this address; signed with its own key where `own`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = self._builder(subject, key, until=until).add_extension(names, critical=False)
        signed = builder.sign(key if own else self._key, hashes.SHA256())
        file = self._folder / "peer.pem"
        plain = serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
            + signed.public_bytes(serialization.Encoding.PEM)
        )
        return file


@contextmanager
def peer(certificate: Path) -> Iterator[tuple[str, list[str]]]:
    """A server with this certificate; gives its address and the requests that reached it."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that leaves amid the handshake is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that is believed."""
    made = Authority(tmp_path)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(made.bundle))
    return made


def post(url: str) -> int:
    client = HttpClient(
        account="bgm", base_url=url, timeout=5, allow_private=True, headers={"Authorization": "Bearer secret"}
    )
    return client.request("POST", "/orders", json={}).status


def test_a_certificate_of_an_authority_that_is_believed_is_good(authority: Authority) -> None:
    with peer(authority.certificate()) as (url, received):
        assert post(url) == 200
    assert received == ["Bearer secret"]


@pytest.mark.parametrize(
    "what", ["self-signed", "of another host", "expired", "of an authority nobody knows"]
)
def test_what_proves_nothing_is_refused_before_anything_is_sent(
    authority: Authority, tmp_path: Path, what: str
) -> None:
    (tmp_path / "other").mkdir()
    certificate = {
        "self-signed": lambda: authority.certificate(own=True),
        "of another host": lambda: authority.certificate(address="127.0.0.2"),
        "expired": lambda: authority.certificate(until=NOW - DAY),
        "of an authority nobody knows": lambda: Authority(tmp_path / "other").certificate(),
    }[what]()
    with peer(certificate) as (url, received):
        with pytest.raises(Misconfigured) as refused:
            post(url)
        assert refused.value.reason == (
            "127.0.0.1: the TLS certificate or handshake was refused (SSLCertVerificationError)."
        )
    assert received == []
