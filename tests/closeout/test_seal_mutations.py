"""Whatever is changed in a sealed bundle is found, and nothing makes the verifier raise."""

import json
import os
import random
import shutil
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.closeout import bundles
from zentra_pipeline import canonical_json
from zentra_pipeline.closeout import seal
from zentra_pipeline.closeout.verify import Report, verify
from zentra_pipeline.keys import dsse

pytestmark = pytest.mark.ci

BYTE_MUTATIONS = 3600
PAYLOAD_MUTATIONS = 1500  # as many at least; more than 5,000 together
GARBAGE = (
    b"",
    b"\x00",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b"[" * 100_000,
    b"9" * 5000,
    b"NaN",
    b"1e5",
)


class Bench:
    """A sealed bundle on disk whose contents are known, so that each mutation is undone again."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "run_0001" / "r1"
        self.made = bundles.make_bundle(self.folder, **bundles.second_version("run_0001"))
        self.other = bundles.make_bundle(
            root / "run_0002" / "r1",
            run_id="run_0002",
            sequence=2,
            previous=self.made,
            **bundles.second_version("run_0002"),
        )
        self.trust = bundles.trust(root / "trust.json")
        self.contents = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
        self.kinds: Counter[str] = Counter()
        self.missed: list[str] = []

    def verified(self) -> Report:
        return verify(self.folder, self.trust)

    def judge(self, kind: str, what: str) -> None:
        self.kinds[kind] += 1
        if self.verified().holds:
            self.missed.append(f"{kind}: {what}")

    def with_content(self, kind: str, name: str, content: bytes) -> None:
        """Judge the bundle with one file changed."""
        assert content != self.contents[name], f"{kind} changed nothing in {name}"
        path = self.folder / name
        path.write_bytes(content)
        self.judge(kind, name)
        path.write_bytes(self.contents[name])

    @property
    def envelope(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.contents["seal.json"])
        return content

    @property
    def payload(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(b64decode(self.envelope["payload"]))
        return content


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("mutations"))
    assert made.verified().holds
    yield made
    assert made.verified().holds, "a mutation was not undone"


def flip(content: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << pick.randrange(8))]) + content[at + 1 :]


def drop(content: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(content))
    return content[:at] + content[at + pick.randint(1, 8) :]


def insert(content: bytes, pick: random.Random) -> bytes:
    at = pick.randrange(len(content) + 1)
    return content[:at] + pick.choice([b" ", b"\n", b"\x00", b'"', b"0", b"}", b"\xff", b"\xe2\x80\xae"]) + content[at:]


def swap(content: bytes, pick: random.Random) -> bytes:
    first, second = sorted(pick.sample(range(len(content)), 2))
    return b"".join(
        [
            content[:first],
            content[second : second + 1],
            content[first + 1 : second],
            content[first : first + 1],
            content[second + 1 :],
        ]
    )


def truncate(content: bytes, pick: random.Random) -> bytes:
    return content[: pick.randrange(len(content))]


def repeat(content: bytes, pick: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    at = pick.randrange(len(lines))
    return b"".join(lines[: at + 1] + lines[at:])


def drop_line(content: bytes, pick: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    lines.pop(pick.randrange(len(lines)))
    return b"".join(lines)


def turn_lines(content: bytes, _pick: random.Random) -> bytes:
    return b"".join(reversed(content.splitlines(keepends=True)))


def grow(content: bytes, pick: random.Random) -> bytes:
    return content + pick.choice([b"\n", b" ", b"{}\n", b"\x00" * 64])


def garbage(_content: bytes, pick: random.Random) -> bytes:
    return pick.choice(GARBAGE)


BYTEWISE: list[Callable[[bytes, random.Random], bytes]] = [
    *(flip, drop, insert, swap, truncate, repeat, drop_line, turn_lines, grow, garbage)
]


def test_every_change_of_bytes_is_found(bench: Bench) -> None:
    pick = random.Random(20260426)  # noqa: S311
    names = [*bench.contents, *["seal.json"] * len(bench.contents)]  # the seal gets half of them
    done = 0
    while done < BYTE_MUTATIONS:
        mutate, name = pick.choice(BYTEWISE), pick.choice(names)
        content = mutate(bench.contents[name], pick)
        if content != bench.contents[name]:
            bench.with_content(mutate.__name__, name, content)
            done += 1
    assert bench.missed == []
    assert len(bench.kinds) == len(BYTEWISE)


def other_values(value: Any) -> list[Any]:
    """Values near another one, of its form and not."""
    if isinstance(value, bool):
        return [not value, 1, None]
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1, str(value), float(value), 2**53, None]
    if isinstance(value, str):
        changed = value[:-1] + ("0" if value[-1:] != "0" else "1")
        return [changed, value + "x", value.upper() + " ", "", "\x00", value + "\u202e", "../" + value, None, [value]]
    if isinstance(value, list):
        return [[*value, *value], [], {}, None]
    if isinstance(value, dict):
        return [{**value, "more": 1}, {}, [], dict(list(value.items())[1:]) if len(value) > 1 else None, "x"]
    return ["f" * 64, {}, 0]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in a value, with the way to it."""
    yield path, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from leaves(member, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], member: Any) -> Any:
    if not path:
        return member
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], member)
    return copy


def loose(value: object) -> bytes:
    """As canonical as it gets for values that have no canonical form."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


def test_every_change_of_a_field_of_the_payload_is_found_whoever_signs(bench: Bench) -> None:
    """Under the old signature, signed again by a stranger, and by a stranger who borrows the pinned key's id."""
    bench.missed.clear()
    for path, value in leaves(bench.payload):
        for other in other_values(value) if path else ():
            payload = loose(replaced(bench.payload, path, other))
            signed = b64encode(bundles.STRANGER.private.sign(dsse.pae(seal.PAYLOAD_TYPE, payload))).decode()
            old = bench.envelope["signatures"]
            for kind, signatures in (
                ("payload under the old signature", old),
                ("payload signed by a stranger", [{"keyid": bundles.STRANGER.keyid, "sig": signed}]),
                ("payload signed in another's name", [{"keyid": bundles.FIRST.keyid, "sig": signed}]),
            ):
                envelope = {**bench.envelope, "payload": b64encode(payload).decode(), "signatures": signatures}
                bench.with_content(kind, "seal.json", canonical_json.canonical(envelope))
    assert bench.missed == []
    assert sum(count for kind, count in bench.kinds.items() if kind.startswith("payload ")) >= PAYLOAD_MUTATIONS


def test_every_change_of_the_envelope_is_found(bench: Bench) -> None:
    bench.missed.clear()
    sealed, envelope = bench.contents["seal.json"], bench.envelope
    for path, value in leaves(envelope):
        for other in other_values(value) if path else ():
            bench.with_content("envelope", "seal.json", loose(replaced(envelope, path, other)))
    payload, signature = envelope["payload"], envelope["signatures"][0]["sig"]
    for broken in (
        payload[:-1],
        payload + "=",
        payload + "\n",
        " " + payload,
        payload.replace("A", "-", 1),
        payload + "AAAA",
    ):
        bench.with_content("base64", "seal.json", canonical_json.canonical({**envelope, "payload": broken}))
    for broken in (signature[:-2], "A" * 88, signature[:-3] + chr(ord(signature[-3]) + 1) + "=="):
        signatures = [{"keyid": bundles.FIRST.keyid, "sig": broken}]
        bench.with_content("base64", "seal.json", canonical_json.canonical({**envelope, "signatures": signatures}))
    twice = envelope["signatures"] * 2
    bench.with_content("signed twice", "seal.json", canonical_json.canonical({**envelope, "signatures": twice}))
    for stranger in (bundles.STRANGER, bundles.SECOND):
        junk = {"keyid": stranger.keyid, "sig": b64encode(stranger.private.sign(b"anything")).decode()}
        for signatures in ([*envelope["signatures"], junk], [junk, *envelope["signatures"]]):
            bench.with_content(
                "a stranger's signature beside",
                "seal.json",
                canonical_json.canonical({**envelope, "signatures": signatures}),
            )
    bench.with_content("duplicate key", "seal.json", sealed[:-1] + b',"payloadType":"x"}')
    bench.with_content("duplicate key", "seal.json", b'{"payload":"e30=",' + sealed[1:])
    bench.with_content("spelling", "seal.json", json.dumps(envelope, indent=1).encode())
    bench.with_content("spelling", "seal.json", sealed.replace(b"vnd", b"\\u0076nd"))
    bench.with_content("spelling", "seal.json", b"\xef\xbb\xbf" + sealed)
    respelt = json.dumps(bench.payload).encode()
    resigned = seal.envelope(respelt, bundles.FIRST.signing)
    bench.with_content("payload spelt otherwise, by the trusted key itself", "seal.json", resigned)
    assert bench.missed == []


def test_files_and_seals_of_another_bundle_are_found(bench: Bench) -> None:
    bench.missed.clear()
    for name, content in bench.contents.items():
        theirs = (bench.other.folder / name).read_bytes()
        if theirs != content:
            bench.with_content("swapped with another bundle", name, theirs)
        for own, swapped in bench.contents.items():
            if own != name and swapped != content:
                bench.with_content("swapped within the bundle", name, swapped)
    for name in bench.contents:  # the whole other bundle in this one's place
        shutil.copyfile(bench.other.folder / name, bench.folder / name)
    assert next(finding.check for finding in bench.verified().findings if not finding.holds) == "payload"
    for name, content in bench.contents.items():
        (bench.folder / name).write_bytes(content)
    assert bench.missed == []


def test_files_too_many_missing_or_not_plain_are_found(bench: Bench, tmp_path: Path) -> None:
    bench.missed.clear()
    for extra in (".DS_Store", "files/._evidence.jsonl", "files/Thumbs.db", "files/.report.html.swp"):
        path = bench.folder / extra
        path.write_bytes(b"x")
        bench.judge("left by a file manager", extra)
        assert "harmless" in bundles.failed(bench.verified())["folder"]
        path.unlink()
    for extra in ("more", "files/more.json", "files/.hidden", "seal.json.bak", "files/EVIDENCE.JSONL", "files/\udcff"):
        path = bench.folder / extra
        path.write_bytes(b"{}")
        bench.judge("extra file", ascii(extra))
        path.unlink()
    for folder in ("more", "files/more", "files/a.json"):
        (bench.folder / folder).mkdir()
        bench.judge("extra folder", folder)
        (bench.folder / folder).rmdir()
    for name, content in bench.contents.items():
        path = bench.folder / name
        path.unlink()
        bench.judge("missing", name)
        path.mkdir()
        bench.judge("a folder", name)
        path.rmdir()
        os.mkfifo(path)
        bench.judge("a pipe", name)
        path.unlink()
        elsewhere = tmp_path / "same"
        elsewhere.write_bytes(content)
        for target in (elsewhere, Path("/dev/zero"), Path("nowhere"), Path(path.name)):
            path.symlink_to(target)
            bench.judge("a link", f"{name} to {target}")
            path.unlink()
        path.write_bytes(content)
    (bench.folder / "files").rename(tmp_path / "files")
    bench.judge("missing", "files")
    (bench.folder / "files").symlink_to(tmp_path / "files")
    bench.judge("a link", "files")
    (bench.folder / "files").unlink()
    (tmp_path / "files").rename(bench.folder / "files")
    assert bench.missed == []


def test_names_that_lead_out_of_the_bundle_are_never_read(bench: Bench, tmp_path: Path) -> None:
    bench.missed.clear()
    for name in (
        "../run_0002/r1/seal.json",
        "files/../seal.json",
        "/etc/passwd",
        "files/",
        "files/./a.json",
        "seal.json",
    ):
        entry = {"sha256": "0" * 64, "size": 3}
        payload = canonical_json.canonical({**bench.payload, "files": {**bench.payload["files"], name: entry}})
        bench.with_content("leading out", "seal.json", seal.envelope(payload, bundles.FIRST.signing))
    assert bench.missed == []


def test_nothing_a_trusted_key_signs_makes_the_verifier_raise(bench: Bench) -> None:
    """Sealed again by the pinned key: what contradicts itself is found, the rest is the limit that reports state."""
    pick = random.Random(7)  # noqa: S311
    for path, value in leaves(bench.payload):
        for other in other_values(value) if path else ():
            payload = loose(replaced(bench.payload, path, other))
            bench.folder.joinpath("seal.json").write_bytes(seal.envelope(payload, bundles.FIRST.signing))
            assert bench.verified().findings
    for name in sorted(bench.payload["files"]):
        for content in (*GARBAGE, *(mutate(bench.contents[name], pick) for mutate in BYTEWISE * 3)):
            bench.folder.joinpath(name).write_bytes(content)
            payload = canonical_json.canonical({**bench.payload, "files": seal.describe_files(bench.folder)})
            bench.folder.joinpath("seal.json").write_bytes(seal.envelope(payload, bundles.FIRST.signing))
            report = bench.verified()
            assert {finding.check for finding in report.findings if finding.holds} >= {"files", "signature", "key"}
            if content in GARBAGE[1:] and name.endswith("json"):
                assert not report.holds
        bench.folder.joinpath(name).write_bytes(bench.contents[name])
    bench.folder.joinpath("seal.json").write_bytes(bench.contents["seal.json"])
