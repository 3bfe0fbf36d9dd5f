from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, parse
from gatewayd_web.authentication import AuthenticationResult, AuthenticationResults, read_results, results_of


def told(written: str) -> tuple[str, list[tuple[str, str, str]]]:
    found = read_results(written)
    return found.server, [(one.method, one.result, one.domain) for one in found.results]


@pytest.mark.parametrize(
    ("written", "server", "proofs"),
    [
        ("mx.example.org 1; none", "mx.example.org", []),
        (
            (
                "mx.google.com; dkim=pass header.i=@nord.example header.s=s1 header.b=AbC;"
                " spf=pass (google.com: domain of a@nord.example designates 192.0.2.1 as permitted sender)"
                " smtp.mailfrom=a@nord.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=nord.example"
            ),
            "mx.google.com",
            [("dkim", "pass", "nord.example"), ("spf", "pass", "nord.example"), ("dmarc", "pass", "nord.example")],
        ),
        # Exchange Online names itself nowhere.
        (
            (
                "spf=fail (sender IP is 192.0.2.1) smtp.mailfrom=evil.example; dkim=none (message not signed) header.d=none;"
                "dmarc=fail action=quarantine header.from=nord.example;compauth=fail reason=000"
            ),
            "",
            [("spf", "fail", "evil.example"), ("dkim", "none", ""), ("dmarc", "fail", "nord.example")],
        ),
        (
            'mx.example.org (a (nested; dkim=pass) comment) ; dkim/1 = pass reason="good; spf=fail" header.d = Nord.Example',
            "mx.example.org",
            [("dkim", "pass", "nord.example")],
        ),
        ('mx.example.org; spf=pass smtp.mailfrom="a b; dmarc=pass', "mx.example.org", [("spf", "pass", "")]),
        ("mx.example.org; arc=pass; iprev=pass policy.iprev=192.0.2.1; auth=pass", "mx.example.org", []),
        ("mx.example.org; spf=<b>; dkim=; =pass; dmarc", "mx.example.org", []),
        ("", "", []),
        (";;;", "", []),
    ],
)
def test_what_a_server_wrote(written: str, server: str, proofs: list[tuple[str, str, str]]) -> None:
    assert told(written) == (server, proofs)


def test_only_the_topmost_header_counts() -> None:
    raw = b"Authentication-Results: mx.example.org;\r\n dmarc=fail header.from=a.example\r\n"
    raw += b"Authentication-Results: mx.example.org; dmarc=pass header.from=a.example\r\nFrom: a@a.example\r\n\r\nx"
    found = results_of(parse(BytesSource(raw)))
    assert found == AuthenticationResults(
        server="mx.example.org", results=(AuthenticationResult(method="dmarc", result="fail", domain="a.example"),)
    )
    assert found
    assert [(one.is_good, one.is_bad) for one in found.results] == [(False, True)]
    assert results_of(parse(BytesSource(b"From: a@a.example\r\n\r\nx"))) is None


@given(st.text(st.sampled_from('a;="()\\ @.') | st.characters(), max_size=60))
def test_nothing_that_is_written_is_an_error(written: str) -> None:
    found = read_results(f"mx; {written}; dmarc=pass header.from=x.example")
    assert all(one.method in {"spf", "dkim", "dmarc"} and one.result.isprintable() for one in found.results)


@pytest.mark.parametrize("piece", ['"\\', "(\\", "((", '""', "a=", ";", "=;"])
def test_endless_input_is_read_in_linear_time(piece: str) -> None:
    assert len(read_results("mx;" + piece * 100_000).results) <= 12
    assert len(read_results("mx" + "; spf=pass" * 1000).results) == 12
