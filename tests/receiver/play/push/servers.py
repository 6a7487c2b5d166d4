"""Real media servers on loopback: gst-rtsp-server, nginx with its RTMP module, srt-live-transmit."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

USER, PASSWORD = "uplink", "s3cret-pw"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log warn;
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
events {{ worker_connections 32; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; application live {{
    live on; record all; record_path {folder}; record_unique on; record_suffix -%s.flv;
    notify_method get; on_publish http://127.0.0.1:{http}/publish; }} }} }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{http}; location /publish {{
    if ($arg_name = "{password}") {{ return 204; }} return 403; }} }} }}
"""


class Server:
    """A server process that can be stopped, started again on the same port, and frozen."""

    def __init__(self, arguments: Sequence[str], port: int, folder: Path, udp: bool = False) -> None:
        self.arguments = list(arguments)
        self.port = port
        self.folder = folder
        self._udp = udp
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 15
        while not self._listens():
            log = (self.folder / "server.log").read_text()
            assert self._process.poll() is None and time.monotonic() < deadline, log
            time.sleep(0.05)

    def freeze(self, frozen: bool) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop(self) -> None:
        """Killed; over UDP it may say goodbye, since silence alone takes seconds to tell."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM if self._udp else signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        table = Path("/proc/net/udp" if self._udp else "/proc/net/tcp").read_text()
        state = "07" if self._udp else "0A"
        return any(
            line.split()[1].endswith(f":{self.port:04X}") and line.split()[3] == state
            for line in table.splitlines()[1:]
        )


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Started, and gone at the end."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


def rtsp_server(folder: Path, name: str = "cam.h264") -> Server:
    """Takes rtsp://USER:PASSWORD@.../cam into a file of FOLDER (with sound: .mkv), by digest."""
    port = free_port()
    program = Path(__file__).with_name("rtsp_server.py")
    arguments = ("/usr/bin/python3", str(program), str(port), str(folder / name), USER, PASSWORD)
    return Server(arguments, port, folder)


def rtmp_server(folder: Path) -> Server:
    """Takes rtmp://.../live/PASSWORD into FOLDER/*.flv, one file for each connection."""
    port, http = free_port(), free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, http=http, password=PASSWORD))
    return Server(("/usr/sbin/nginx", "-p", str(folder), "-c", str(config)), port, folder)


def srt_server(folder: Path, passphrase: str) -> Server:
    """Takes one connection after the other into FOLDER/cam.ts."""
    port = free_port()
    url = f"srt://127.0.0.1:{port}?mode=listener&passphrase={passphrase}"
    command = f'exec srt-live-transmit -q -a:no "{url}" file://con >> "{folder}/cam.ts"'
    return Server(("/bin/sh", "-c", command), port, folder, udp=True)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for localhost, signed by itself: (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(form))
    private = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(form, private, serialization.NoEncryption()))
    os.chmod(paths[1], 0o600)
    return paths


@asynccontextmanager
async def tls_in_front(port: int, folder: Path) -> AsyncIterator[int]:
    """TLS with a certificate of localhost in front of a TCP port: the port to connect to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        to.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, forth), copy(back, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
