"""The credential ``office365`` with a certificate in place of a secret, against the stand-in, which verifies each signature."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, GatewaydError, HttpAnswer, Secret, TokenSource, TransientError
from gatewayd.testing.graph import Graph
from gatewayd_office365.certificate import ends_at, read_certificate
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.token_faults import TOKEN_FAULTS, token_error
from tests.plugins.app_certificate import made, openssl
from tests.plugins.graph_site import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.graph import EntraApp

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A key and its certificate."""
    return made(tmp_path_factory.mktemp("pem"))


@pytest.fixture
def app(graph: Graph, pair: tuple[str, str]) -> EntraApp:
    return graph.add_app(certificate=pair[1])


def written(folder: Path, *parts: str) -> Secret:
    path = folder / "app.pem"
    path.write_text("".join(parts))
    return Secret("file", str(path))


def credential(graph: Graph, app: EntraApp, certificate: Secret, **changed: object) -> Office365Credential:
    own = {**fields(graph, app), "secret": None, "certificate": certificate, **changed}
    return Office365Credential(Office365CredentialOptions.model_validate(own))


def refusal(graph: Graph, app: EntraApp, certificate: Secret, **changed: object) -> GatewaydError:
    with pytest.raises(GatewaydError) as caught:
        credential(graph, app, certificate, **changed).obtain("", "")
    return caught.value


def exported(folder: Path, key: str, certificate: str) -> str:
    """What openssl makes of a PFX file, with its remarks between the parts."""
    (folder / "in.pem").write_text(key + certificate)
    openssl("pkcs12", "-export", "-in", str(folder / "in.pem"), "-out", str(folder / "app.pfx"), "-passout", "pass:x")
    text = openssl("pkcs12", "-in", str(folder / "app.pfx"), "-nodes", "-passin", "pass:x").decode()
    assert "Bag Attributes" in text
    return text


FORMS: dict[str, Callable[[Path, str, str], str]] = {
    "key first": lambda _, key, certificate: key + certificate,
    "certificate first": lambda _, key, certificate: certificate + key,
    "lines of Windows": lambda _, key, certificate: (key + certificate).replace("\n", "\r\n"),
    "from PFX": exported,
    "PKCS 1": lambda folder, _, certificate: certificate + openssl("rsa", "-traditional", "-in", str(folder / "app.key")).decode(),
    "with others": lambda folder, key, certificate: made(folder, "issuer")[1] + certificate + key,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_administrators_have_proves_the_app(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path, form: str
) -> None:
    (tmp_path / "app.key").write_text(pair[0])
    source = TokenSource(credential(graph, app, written(tmp_path, FORMS[form](tmp_path, *pair))))
    token = source.token("ann", graph.authority)
    assert graph.tokens.owner(f"Bearer {token}").app is app


def test_of_two_certificates_of_one_key_the_one_that_ends_last_is_used(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path
) -> None:
    """As after a renewal with the same key."""
    (tmp_path / "app.key").write_text(pair[0])
    new = openssl("req", "-x509", "-key", str(tmp_path / "app.key"), "-subj", "/CN=new", "-days", "900").decode()
    app.certificate = new
    assert credential(graph, app, written(tmp_path, pair[0], pair[1], new)).obtain("", "").text


def test_a_new_file_is_used_at_the_next_token_and_a_refusal_does_not_keep_it_waiting(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path
) -> None:
    source = TokenSource(credential(graph, app, written(tmp_path, *made(tmp_path, "other"))))
    with pytest.raises(AuthError, match="700027"):
        source.token("", graph.authority)
    written(tmp_path, *pair)
    assert source.token("", graph.authority)


def _ended(folder: Path, pair: tuple[str, str]) -> str:
    (folder / "app.key").write_text(pair[0])
    begin, end = ("20240101000000Z", "20250301000000Z")
    openssl("req", "-new", "-key", str(folder / "app.key"), "-subj", "/CN=old", "-out", str(folder / "csr"))
    (folder / "ca").mkdir()
    (folder / "ca/index").touch()
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=a\n[a]\ndatabase={folder}/ca/index\nnew_certs_dir={folder}/ca\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\n"
        "commonName=supplied\n"
    )
    config = ("-config", str(folder / "ca.cnf"), "-batch", "-selfsign", "-keyfile", str(folder / "app.key"))
    openssl("ca", *config, "-in", str(folder / "csr"), "-startdate", begin, "-enddate", end, "-notext", "-out", str(folder / "old"))
    return pair[0] + (folder / "old").read_text()


WRONG: dict[str, tuple[Callable[[Path, tuple[str, str]], str], str]] = {
    "has no private key": (lambda _, pair: pair[1], "has no private key"),
    "nothing at all": (lambda *_: "hello", "has no private key"),
    "no certificate": (lambda _, pair: pair[0], "has no certificate beside its private key"),
    "two keys": (lambda folder, pair: pair[0] + made(folder, "b")[0] + pair[1], "has several private keys"),
    "of another key": (lambda folder, pair: pair[0] + made(folder, "b")[1], "has no certificate that belongs to its private key"),
    "passphrase": (
        lambda folder, pair: _passphrase(folder, pair[0]) + pair[1],
        "has a passphrase, which a service can't type. Take it off: openssl pkey",
    ),
    "damaged key": (lambda _, pair: pair[0].replace("M", "N", 4) + pair[1], "is damaged, and Microsoft Entra takes RSA"),
    "damaged certificate": (lambda _, pair: pair[0] + pair[1].replace("M", "N", 4), "has a damaged certificate"),
    "no RSA": (
        lambda folder, _: "".join(made(folder, how=("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=x"))),
        "is no RSA key",
    ),
    "ended": (_ended, "has ended on 2025-03-01 (thumbprint "),
}  # fmt: skip


def _passphrase(folder: Path, key: str) -> str:
    (folder / "plain").write_text(key)
    return openssl("pkcs8", "-topk8", "-in", str(folder / "plain"), "-passout", "pass:x").decode()


@pytest.mark.parametrize("wrong", WRONG)
def test_P9_a_file_that_is_of_no_use_is_told_without_its_content_and_before_anything_is_asked(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path, wrong: str
) -> None:
    make, what = WRONG[wrong]
    text = make(tmp_path, pair)
    asked = len(graph.log.requests)
    error = refusal(graph, app, written(tmp_path, text))
    assert isinstance(error, AuthError)
    assert what in error.sentences
    assert str(tmp_path / "app.pem") in error.message
    assert error.advice
    shown = f"{error!r} {error.sentences} {error.__cause__!r} {error.__context__ if not error.__suppress_context__ else ''}"
    assert not any(line in shown for line in text.splitlines() if len(line) > 40)
    assert len(graph.log.requests) == asked


def test_P9_what_microsoft_says_of_a_certificate_names_its_thumbprint(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path
) -> None:
    app.certificate = made(tmp_path, "other")[1]
    error = refusal(graph, app, written(tmp_path, *pair))
    (tmp_path / "app.crt").write_text(pair[1])
    shown = openssl("x509", "-in", str(tmp_path / "app.crt"), "-noout", "-fingerprint", "-sha1").decode()
    thumbprint = shown.strip().rpartition("=")[2].replace(":", "")
    assert f"the certificate does not prove the app's identity (AADSTS700027, thumbprint {thumbprint}, trace id " in error.message
    app.certificate = ""
    assert "no certificate is registered for the app (AADSTS700026" in refusal(graph, app, written(tmp_path, *pair)).message
    app.has_principal = False
    assert "thumbprint" not in refusal(graph, app, written(tmp_path, *pair)).message


def test_an_unknown_number_has_the_words_of_its_kind() -> None:
    answer = HttpAnswer(status=401, reason="", headers={}, body=b"")
    said = {"error": "invalid_client"}
    assert "the client secret is wrong (invalid_client)" in token_error(answer, said, "x", ["s"]).message
    assert "the certificate does not prove" in token_error(answer, said, "x", ["s"], thumbprint="AB").message
    about = [one for one in TOKEN_FAULTS if one.of == "certificate"]
    assert {700027, 700026, 700024, 700023, 1000502} <= {code for one in about for code in one.codes}
    for one in about:
        told = token_error(answer, {"error_codes": [one.codes[0]]}, "x", ["s"], thumbprint="AB")
        assert told.message == f"x: {one.what} (AADSTS{one.codes[0]}, thumbprint AB)"


def test_it_is_bounded_trusted_and_put_off_like_any_request(
    graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path
) -> None:
    certificate = written(tmp_path, *pair)
    with pytest.raises(AuthError, match="not trusted"):
        credential(graph, app, certificate, ca_file=None).obtain("", "")
    graph.fail("/token", status=429, Retry_After="7")
    later = refusal(graph, app, certificate)
    assert isinstance(later, TransientError)
    assert later.retry_after == 7
    graph.fail("/token", "stall")
    began = time.monotonic()
    assert isinstance(refusal(graph, app, certificate, timeout="1s"), TransientError)
    assert time.monotonic() - began < 60
    # One request for a token, and none about where to ask for it.
    asked = len(graph.log.requests)
    assert credential(graph, app, certificate).obtain("", "").text
    assert len(graph.log.requests) == asked + 1


def test_a_certificate_says_itself_when_it_ends(graph: Graph, app: EntraApp, pair: tuple[str, str], tmp_path: Path) -> None:
    found = credential(graph, app, written(tmp_path, *pair)).expiry()
    assert found is not None
    assert found.what == "certificate"
    assert found.day in {(NOW + timedelta(days=days)).date() for days in (729, 730)}
    assert credential(graph, app, written(tmp_path, _ended(tmp_path, pair))).expiry().day.isoformat() == "2025-03-01"  # type: ignore[union-attr]
    assert credential(graph, app, written(tmp_path, "hello")).expiry() is None
    assert ends_at(Secret("file", str(tmp_path / "none"))) is None
    assert "key=" not in repr(read_certificate(written(tmp_path, *pair), NOW))


def test_nothing_is_imported_to_sign_before_it_is_needed() -> None:
    code = "import gatewayd_office365, sys; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "False\n"
