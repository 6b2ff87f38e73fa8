"""Whoever keeps a key, its seals verify offline by the public key; one away, or who signs otherwise, seals nothing."""

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.closeout import bundles
from tests.keys.test_signing_keys import seal_with
from zentra_pipeline.closeout import verify
from zentra_pipeline.errors import ConfigurationError, RefusedError, UnavailableError, UsageError, ZentraError
from zentra_pipeline.keys import signers, signing_keys
from zentra_pipeline.keys.signers import Signer
from zentra_pipeline.settings import Home
from zentra_pipeline.upkeep.seal_checks import check_keys

NOW = datetime(2026, 4, 28, 9, tzinfo=UTC)
TOKEN = "zentra"  # noqa: S105 - its label
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
REQUIRED = "ZENTRA_REQUIRE_SOFTHSM"
EDWARDS25519 = bytes.fromhex("130c656477617264733235353139")  # its name as a PrintableString, CKA_EC_PARAMS

PROGRAM = """\
import base64, json, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
state = json.loads(Path(sys.argv[1]).read_text())
key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(state["keys"][sys.argv[2]]))
if state.get("away"):
    sys.exit("the service is away")
if sys.argv[3] == "public-key":
    print(base64.b64encode(key.public_key().public_bytes_raw()).decode())
else:
    message = sys.stdin.buffer.read() + state.get("adds", "").encode()
    print(base64.b64encode(key.sign(message)).decode())
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ZENTRA_KEY_PASSPHRASE", "correct horse")
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


class Kms:
    """A software token: keys in a file beside, a program that signs with them, and the same over HTTP."""

    def __init__(self, folder: Path) -> None:
        self.file, self.program = folder / "kms.json", folder / "kms.py"
        keys = {name: base64.b64encode(os.urandom(32)).decode() for name in ("one", "two")}
        self.state: dict[str, Any] = {"keys": keys}
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.set()

    def set(self, **state: Any) -> None:
        self.state = {"keys": self.state["keys"], **state}
        self.file.write_text(json.dumps(self.state), encoding="utf-8")

    def command(self, name: str) -> list[str]:
        return [sys.executable, str(self.program), str(self.file), name]

    def key(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.state["keys"][name]))


@pytest.fixture
def kms(tmp_path: Path) -> Kms:
    return Kms(tmp_path)


@pytest.fixture
def service(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same keys behind a service that wants a token."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, content: dict[str, str]) -> None:
            if self.headers["Authorization"] != "Bearer kms-token" or kms.state.get("away"):
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def do_GET(self) -> None:
            public = kms.key(self.path[1:]).public_key().public_bytes_raw()
            self._answer({"public_key": base64.b64encode(public).decode()})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = base64.b64decode(asked["message"]) + kms.state.get("adds", "").encode()
            self._answer({"signature": base64.b64encode(kms.key(self.path[1:]).sign(message)).decode()})

        def log_message(self, *_: object) -> None:
            return

    monkeypatch.setenv(signers.TOKEN_VARIABLE, "kms-token")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SoftHSM token with two keys; its library reads where it is once a process."""
    if not SOFTHSM.is_file():
        assert os.environ.get(REQUIRED) != "1", "softhsm2 is not installed"
        pytest.skip("softhsm2 is not installed")
    import pkcs11

    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        environment.setenv(signers.PIN_VARIABLE, "4321")
        program = shutil.which("softhsm2-util")
        assert program is not None
        words = [program, "--init-token", "--free", "--label", TOKEN, "--so-pin", "1234", "--pin", "4321"]
        subprocess.run(words, check=True, capture_output=True)
        with pkcs11.lib(str(SOFTHSM)).get_token(token_label=TOKEN).open(rw=True, user_pin="4321") as session:
            for label in ("one", "two"):
                curve = {pkcs11.Attribute.EC_PARAMS: EDWARDS25519}
                domain = session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True)
                domain.generate_keypair(mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label=label)
        yield TOKEN


def says(home: Home, sign_with: str, **keys: dict[str, Any]) -> None:
    content = {"sign_with": sign_with, "keys": keys}
    (home.root / "signing.yml").write_text(json.dumps(content), encoding="utf-8")


def place(keeper: str, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if keeper == "pkcs11":
        return {"pkcs11": {"module": str(SOFTHSM), "token": request.getfixturevalue("token"), "key": name}}
    if keeper == "http":
        return {"http": f"{request.getfixturevalue('service')}/{name}"}
    return {"command": request.getfixturevalue("kms").command(name)}


@pytest.mark.parametrize("keeper", ["command", "http", "pkcs11"])
def test_keys_go_from_a_file_to_a_keeper_and_back_and_every_seal_verifies(
    keeper: str, home: Home, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one, two = place(keeper, "one", request), place(keeper, "two", request)
    first, _ = signing_keys.init(home, NOW)
    days = [NOW + timedelta(days=number) for number in range(4)]
    folders = [seal_with(home, tmp_path / "b0", days[0])]
    says(home, "new", new=one)
    for number, (sign_with, keys) in enumerate(
        [("new", {"new": one}), ("newer", {"new": one, "newer": two}), ("file", {"newer": two})], 1
    ):
        says(home, sign_with, **keys)
        assert signing_keys.signing_key(home, days[number]).keyid == signing_keys.records(home)[-1].keyid
        record = signing_keys.rotate(home, days[number], 7)
        folders.append(seal_with(home, tmp_path / f"b{number}", days[number] + timedelta(seconds=1)))
        assert (home.keys / f"{record.keyid}.pem").exists() is (sign_with == "file")
        assert list(check_keys(home)) == []
    assert len({record.keyid for record in signing_keys.records(home)}) == 4
    pinned = tmp_path / "pinned.json"
    pinned.write_text(json.dumps({"version": 1, "keys": json.loads(home.trust.read_bytes())["keys"][:1]}), "utf-8")
    for folder in folders:
        assert bundles.failed(verify.verify(folder, home.trust)) == {}
        assert bundles.failed(verify.verify(folder, pinned)) == {}, "each key is signed by the one before it"
    assert first.keyid == signing_keys.records(home)[0].keyid


@pytest.mark.parametrize("keeper", ["command", "http"])
def test_a_keeper_who_is_away_or_signs_otherwise_seals_nothing(
    keeper: str, home: Home, kms: Kms, request: pytest.FixtureRequest
) -> None:
    says(home, "cloud", cloud=place(keeper, "one", request))
    record, is_new = signing_keys.init(home, NOW)
    assert (is_new, list(home.keys.glob("*.pem"))) == (True, [])
    kms.set(away=True)
    with pytest.raises(UnavailableError):
        signing_keys.signing_key(home, NOW)
    (finding,) = check_keys(home)
    assert (finding.subject, finding.severity) == ("signing.yml", "error")
    kms.set(adds="!")
    with pytest.raises(ZentraError, match="gave a signature that is not its own: nothing was sealed"):
        signing_keys.signing_key(home, NOW).sign(b"payload")
    kms.set()
    says(home, "cloud", cloud=place(keeper, "two", request))
    with pytest.raises(ZentraError, match=r"no key of signing\.yml is it"):
        signing_keys.signing_key(home, NOW)
    says(home, "cloud", cloud=place(keeper, "one", request))
    with pytest.raises(RefusedError, match="is in the list already"):
        signing_keys.rotate(home, NOW + timedelta(days=1))
    assert signing_keys.records(home) == [record]


def test_a_wrong_pin_and_a_missing_one_are_said(home: Home, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    says(home, "hsm", hsm={"pkcs11": {"module": str(SOFTHSM), "token": token, "key": "one"}})
    for pin, words in (("9999", "is not its own"), ("", "the token needs a PIN")):
        monkeypatch.setenv(signers.PIN_VARIABLE, pin)
        with pytest.raises(UsageError, match=words):
            signing_keys.init(home, NOW)
    monkeypatch.setenv(signers.PIN_VARIABLE, "4321")
    says(home, "hsm", hsm={"pkcs11": {"module": str(SOFTHSM), "token": token, "key": "none"}})
    with pytest.raises(UnavailableError, match="key none on token zentra"):
        signing_keys.init(home, NOW)
    assert signing_keys.records(home) == []


WRONG = {
    "none of its places": ({"sign_with": "a", "keys": {"a": {}}}, "name one of pkcs11, command and http"),
    "two places": ({"sign_with": "a", "keys": {"a": {"command": ["x"], "http": "https://k"}}}, "name one of pkcs11"),
    "no name": ({"sign_with": "b", "keys": {"a": {"command": ["x"]}}}, "sign_with names 'b'"),
    "the file's name": ({"keys": {"file": {"command": ["x"]}}}, "give this one another"),
    "not encrypted": ({"sign_with": "a", "keys": {"a": {"http": "http://kms.example.com"}}}, "is no https URL"),
    "unknown": ({"signer": "a"}, "unknown key 'signer'; allowed are sign_with, keys"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_says_otherwise_is_named(name: str, home: Home) -> None:
    content, words = WRONG[name]
    (home.root / "signing.yml").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"signing\.yml: .*" + words):
        signers.load_signing(home)


def test_every_keeper_is_a_signer_and_nothing_is_imported_for_files(home: Home) -> None:
    for keeper in (signers.Pkcs11Signer("m", "t", "k"), signers.CommandSigner(["x"]), signers.HttpSigner("https://k")):
        assert isinstance(keeper, Signer)
    program = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from zentra_pipeline.keys import signing_keys; from zentra_pipeline.settings import Home\n"
        "signing_keys.signing_key(Home(Path(sys.argv[1])), datetime.now(UTC)).sign(b'x')\n"
        "print(sorted(set(sys.modules) & {'pkcs11', 'httpx'}))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home.root)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    (pem,) = home.keys.glob("*.pem")
    assert stat.S_IMODE(pem.stat().st_mode) == 0o600
