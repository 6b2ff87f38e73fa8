"""Caddy before two servers, as deploy/Caddyfile has it: TLS, a server that dies, Dagster behind a password.

Certificates are those of Caddy's own authority, since nobody reaches this machine by the file's names. In the
place of Dagster's UI another program answers.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from benchmarks.callback_intake import free_port, wait_until_it_answers
from tests.documents.test_deploy import DEPLOY
from zentra_pipeline import cli
from zentra_pipeline.settings import CACHE_VARIABLE, DATABASE_VARIABLE, HOME_VARIABLE

pytestmark = pytest.mark.ci

REQUIRE_VARIABLE = "ZENTRA_REQUIRE_CADDY"
NAME = "zentra.example.com"
DAGSTER = f"dagster.{NAME}"
# `caddy hash-password` of "secret", with bcrypt's smallest cost.
HASHED = "$2a$04$9iwRclzXRQTn2Uv8VkDFFO4mW41L9KPv4EqojyvViBF9hJ8g/DcyK"
GLOBALS = """{{
	local_certs
	skip_install_trust
	auto_https disable_redirects
	admin off
	https_port {port}
	default_bind 127.0.0.1
	storage file_system {storage}
}}
"""


@dataclass
class Proxy:
    """Caddy, and the servers behind it."""

    port: int
    servers: list[subprocess.Popen[bytes]]
    trusted: ssl.SSLContext

    def get(self, path: str, name: str = NAME, password: str | None = None) -> httpx.Response:
        """What a client of the name gets, which trusts Caddy's authority alone."""
        with httpx.Client(verify=self.trusted) as client:
            return client.get(
                f"https://127.0.0.1:{self.port}{path}",
                headers={"Host": name},
                auth=None if password is None else ("finance", password),
                extensions={"sni_hostname": name},
            )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if shutil.which("caddy") is None:
        reason = "Caddy is not installed: apt-get install caddy"
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)")
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("tls")
    with ExitStack() as ending, pytest.MonkeyPatch.context() as patched:
        for name in (DATABASE_VARIABLE, HOME_VARIABLE, CACHE_VARIABLE):
            patched.delenv(name, raising=False)
        assert cli.invoke(["init", "--home", str(folder / "home")]) == 0
        ports = [free_port(), free_port()]
        servers = [_serve(folder / "home", port, ending) for port in ports]
        for server, port in zip(servers, ports, strict=True):
            wait_until_it_answers(server, port)
        yield _before(ports, folder, servers, ending)


def _serve(home: Path, port: int, ending: ExitStack) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zentra_pipeline", "serve", "--no-worker", "--home", str(home)]
    server = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL)
    ending.callback(server.wait)
    ending.callback(server.kill)
    return server


def _before(ports: list[int], folder: Path, servers: list[subprocess.Popen[bytes]], ending: ExitStack) -> Proxy:
    """Caddy with the shipped file, in which addresses are those of this machine."""
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8").replace("CHANGE-ME", HASHED)
    for there, here in {"10.0.0.11:8080": ports[0], "10.0.0.12:8080": ports[1], "10.0.0.11:3000": ports[1]}.items():
        text = text.replace(there, f"127.0.0.1:{here}")
    assert "10.0.0" not in text
    port, storage = free_port(), folder / "caddy"
    file = folder / "Caddyfile"
    file.write_text(GLOBALS.format(port=port, storage=storage) + text, encoding="utf-8")
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    log = ending.enter_context((folder / "caddy.log").open("wb"))
    caddy = subprocess.Popen(
        ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"], env=variables, stdout=log, stderr=log
    )
    ending.callback(caddy.wait)
    ending.callback(caddy.kill)
    root = storage / "pki/authorities/local/root.crt"
    until = time.monotonic() + 120
    while True:
        assert caddy.poll() is None and time.monotonic() < until, (folder / "caddy.log").read_text(encoding="utf-8")
        if root.is_file():
            found = Proxy(port, servers, ssl.create_default_context(cafile=root))
            try:
                if found.get("/healthz").status_code == 200:
                    return found
            except httpx.TransportError:
                pass
        time.sleep(0.1)


def test_a_client_reaches_the_api_by_tls_and_its_cookies_are_for_tls_alone(proxy: Proxy) -> None:
    assert proxy.get("/readyz").status_code == 200
    page = proxy.get("/console/sign-in")
    assert page.status_code == 200
    cookies = page.headers.get_list("set-cookie")
    assert cookies and all(re.search(r";\s*secure", each, re.IGNORECASE) for each in cookies)
    with pytest.raises(httpx.ConnectError, match="certificate"):
        replace(proxy, trusted=ssl.create_default_context()).get("/healthz")


def test_dagster_is_behind_a_password(proxy: Proxy) -> None:
    said = {word: proxy.get("/healthz", DAGSTER, word).status_code for word in (None, "guess", "secret")}
    assert said == {None: 401, "guess": 401, "secret": 200}


def test_the_other_server_answers_when_one_dies(proxy: Proxy) -> None:
    proxy.servers[0].kill()
    proxy.servers[0].wait()
    assert [proxy.get("/healthz").status_code for _ in range(6)] == [200] * 6
