"""Published vectors: canonical JSON (RFC 8785), Ed25519 (Wycheproof, small-order keys), Merkle roots (RFC 6962)."""

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.closeout import bundles
from zentra_pipeline import canonical_json
from zentra_pipeline.closeout import merkle, verify

CORPORA = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora"
JCS = CORPORA / "jcs" / "testdata"
ED25519 = CORPORA / "wycheproof" / "testvectors_v1" / "ed25519_test.json"
WITH_FLOATS = {"structures.json", "values.json"}

# Encodings of the eight points of small order: orders 1, 2, 4, 4, 8, 8, 8, 8.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
# y of the same points plus the field's prime, where that fits, and a point whose x is 0 with the other sign.
NOT_CANONICAL = [
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]
# The leaves and roots of the Certificate Transparency reference implementation.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.skipif(not JCS.exists(), reason="the corpora are not beside this repository")
def test_every_jcs_vector_is_byte_exact() -> None:
    inputs = sorted((JCS / "input").glob("*.json"))
    assert len(inputs) == 6
    for path in inputs:
        value = json.loads(path.read_bytes())
        due = (JCS / "output" / path.name).read_bytes()
        assert rfc8785.dumps(value) == due, path.name
        if path.name in WITH_FLOATS:
            with pytest.raises(TypeError, match="is a float"):
                canonical_json.canonical(value)
        else:
            assert canonical_json.canonical(value) == due
            assert verify._canonical(due, path.name) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(), members, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_lines_are_the_bytes_of_rfc_8785(row: dict[str, Any]) -> None:
    due = rfc8785.dumps(row)
    assert list(canonical_json.canonical_lines([row])) == [due + b"\n"]
    assert canonical_json.canonical(row) == due
    assert verify._canonical(due, "it") == row


@pytest.mark.parametrize("value", [1.0, float("nan"), [{"a": [2.5]}], (1, 0.0), {"a": {"b": -0.0}}, {1: "a"}])
def test_a_float_or_a_key_that_is_no_text_is_never_sealed(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json.canonical(value)
    with pytest.raises(TypeError):
        list(canonical_json.canonical_lines([{"a": value}]))


def test_an_integer_beyond_what_json_keeps_exact_is_never_sealed() -> None:
    assert canonical_json.canonical(2**53 - 1) == b"9007199254740991"
    for value in (2**53, -(2**53)):
        with pytest.raises(ValueError, match="beyond 2\\^53"):
            canonical_json.canonical([value])


@pytest.mark.skipif(not ED25519.exists(), reason="the corpora are not beside this repository")
def test_every_wycheproof_verdict_is_right() -> None:
    content = json.loads(ED25519.read_bytes())
    wrong, seen = [], 0
    for group in content["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            seen += 1
            holds = verify.signature_holds(public, bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
            if holds != (test["result"] == "valid"):
                wrong.append(test["tcId"])
    assert (seen, wrong) == (151, [])


@pytest.mark.parametrize("encoded", SMALL_ORDER + NOT_CANONICAL)
def test_a_key_of_small_order_signs_nothing_and_cannot_be_pinned(encoded: str, tmp_path: Path) -> None:
    public = bytes.fromhex(encoded)
    # With S = 0 and R the identity such a signature would hold for a share of all messages.
    forged = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)
    assert not any(verify.signature_holds(public, forged, bytes([number])) for number in range(64))
    record = bundles.FIRST.record() | {
        "keyid": hashlib.sha256(public).hexdigest(),
        "public_key": b64encode(public).decode(),
    }
    made = bundles.make_bundle(tmp_path / "bundle")
    report = verify.verify(made.folder, bundles.trust(tmp_path / "trust.json", bundles.FIRST.record(), record))
    assert not report.holds
    assert report.findings[0].check == "trust"
    assert "small order" in report.findings[0].detail


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES[:size]]
    assert merkle.root(hashes) == merkle.root(iter(hashes)) == merkle.root(b"".join(hashes)) == ROOTS[size]


def test_a_buffer_that_is_no_row_of_hashes_has_no_root() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        merkle.root(bytes(33))


@pytest.mark.parametrize("block", [1 << 20, 700])
def test_verifier_and_sealer_agree_on_roots_of_every_size(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their code is not shared; small blocks cut lines anywhere."""
    monkeypatch.setattr(verify, "_BLOCK", block)
    trust = bundles.trust(tmp_path / "trust.json")
    for movements in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 17, 31, 33, 64, 100):
        made = bundles.make_bundle(tmp_path / str(movements), movements=movements)
        report = verify.verify(made.folder, trust)
        assert report.holds, [finding for finding in report.findings if not finding.holds]
