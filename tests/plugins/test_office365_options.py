"""The fields of the kind ``office365``: what is refused, and in which words; and which accounts are one app or one mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gatewayd import Secret, TokenSource
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.options import Office365Options
from gatewayd_office365.transport import Office365

if TYPE_CHECKING:
    from collections.abc import Mapping

ID = "6f1c0a52-0f6e-4b1e-9a57-2f0c8d1b7e11"
APP: Mapping[str, object] = {"tenant": "acme.example", "client": ID.upper(), "secret": Secret("env", "ACME")}
GOOD: Mapping[str, object] = {"mailbox": ID, **APP}


def credential(**changed: object) -> TokenSource:
    return TokenSource(Office365Credential(Office365CredentialOptions.model_validate({**APP, **changed})))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mailbox": "sales"}, "expected the user's Object ID, such as"),
        ({"mailbox": "a'b@acme.example"}, "expected the user's Object ID, such as"),
        ({"mailbox": f"{ID}/x"}, "expected the user's Object ID, such as"),
        ({"tenant": "acme"}, "expected the Directory (tenant) ID, or one of the tenant's domains"),
        ({"tenant": "../x"}, "expected the Directory (tenant) ID, or one of the tenant's domains"),
        ({"client": "my app"}, "expected the Application (client) ID, such as"),
        ({"graph": "http://graph.microsoft.com/v1.0"}, "expected a URL such as https://graph.microsoft.com/v1.0, with https"),
        ({"authority": "https://login.example/?x=1"}, "expected a URL such as https://graph.microsoft.com/v1.0, with https"),
        ({"secret": None}, "or 'tenant', 'client' and one of 'secret' and 'certificate'; 'secret' is missing"),
        ({"certificate": Secret("env", "PEM")}, "expected either 'secret' or 'certificate', found both"),
        ({"secret": None, "certificate": Secret("env", "PEM"), "secret_expires": "2027-03-01"}, "secret_expires: it goes with"),
        ({"tenant": None, "client": None, "secret": None}, "'tenant' is missing"),
        ({"credential": credential()}, "expected 'tenant' among the fields of the credential, and not beside 'credential'"),
        ({"secret_expires": "soon"}, "expected a day such as 2027-03-01"),
    ],
)
def test_a_wrong_field_is_refused_with_what_was_expected(changed: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Office365Options.model_validate({**GOOD, **changed})
    assert words in str(caught.value)


@pytest.mark.parametrize("field", [{"authority": "https://login.microsoftonline.us"}, {"secret_expires": "2027-03-01"}])
def test_what_belongs_to_the_credential_is_refused_beside_it(field: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError, match="among the fields of the credential"):
        Office365Options.model_validate({"mailbox": ID, "credential": credential(), **field})


def test_fields_inline_and_the_same_as_a_shared_credential_are_one_app_with_the_same_tokens() -> None:
    inline = Office365Options.model_validate(GOOD)
    shared = Office365Options.model_validate({"mailbox": "sales@acme.example", "credential": credential()})
    assert inline.tokens == shared.tokens
    assert inline.app == shared.app == ID
    # Another secret of the same app is the same app for Microsoft.
    other = Office365Options.model_validate({**GOOD, "secret": Secret("env", "OTHER")})
    assert (other.app, other.tokens == inline.tokens) == (inline.app, False)
    assert inline.resource == "https://graph.microsoft.com"


def test_one_mailbox_has_one_name_also_by_imap() -> None:
    def name(**fields: object) -> str:
        return Office365(Office365Options.model_validate({**GOOD, **fields}), account="x").mailbox()

    assert name(mailbox="Sales@Acme.example") == "sales@acme.example at outlook.office365.com"
    assert name(mailbox=ID.upper()) == name(mailbox=ID)
    assert name(graph="https://graph.microsoft.us/v1.0/") == f"{ID} at graph.microsoft.us"
