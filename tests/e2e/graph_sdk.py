"""What Microsoft's own libraries do with a mailbox: ``python graph_sdk.py GIVEN``, in an environment that has msal and msgraph-sdk.

``GIVEN`` is JSON; the answer is a line of JSON with what came of each step.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

import httpx
import msal
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AllowedHostsValidator, BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.attachment_item import AttachmentItem
from msgraph.generated.models.attachment_type import AttachmentType
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.messages.item.attachments.create_upload_session import create_upload_session_post_request_body
from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import SendMailPostRequestBody
from msgraph_core import GraphClientFactory

GIVEN = json.loads(sys.argv[1])
PIECE = 10 * 320 * 1024


class Tokens:
    """Gives the token that msal got."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def get_authorization_token(self, _uri: str, _context: object = None) -> str:
        return self.token

    def get_allowed_hosts_validator(self) -> Any:
        return AllowedHostsValidator([])


def token(secret: str | dict[str, str]) -> Any:
    authority = f"{GIVEN['authority']}/{GIVEN['tenant']}"
    app = msal.ConfidentialClientApplication(
        GIVEN["client"], secret, authority=authority, instance_discovery=False, verify=GIVEN["ca_file"]
    )
    return app.acquire_token_for_client(scopes=[f"{GIVEN['authority']}/.default"])


def opened(link: str) -> dict[str, str]:
    """Open a link as a person does who consents; return what the address has at which the browser ends."""
    with httpx.Client(verify=ssl.create_default_context(cafile=GIVEN["ca_file"]), timeout=60) as browser:
        return dict(httpx.URL(browser.get(link).headers["Location"]).params)


def consented() -> list[Any]:
    """Return what comes of a person's consent: by a code, by its refresh token, and by a device code that nobody types in."""
    authority = f"{GIVEN['authority']}/{GIVEN['tenant']}"
    app = msal.PublicClientApplication(
        GIVEN["public client"], authority=authority, instance_discovery=False, verify=GIVEN["ca_file"]
    )
    scopes = ["https://graph.microsoft.com/User.Read"]
    flow = app.initiate_auth_code_flow(scopes, redirect_uri="http://localhost:1", login_hint=GIVEN["address"])
    first = app.acquire_token_by_auth_code_flow(flow, opened(flow["auth_uri"]))
    second = app.acquire_token_by_refresh_token(first["refresh_token"], scopes)
    waiting = app.acquire_token_by_device_flow(app.initiate_device_flow(scopes), exit_condition=lambda _flow: True)
    return [first["scope"], second["scope"], second["refresh_token"] != first["refresh_token"], waiting["error"]]


async def delta(inbox: Any) -> list[list[str]]:
    config = RequestConfiguration()
    config.headers.add("Prefer", 'IdType="ImmutableId", odata.maxpagesize=2')
    page = await inbox.messages.delta.get(request_configuration=config)
    pages = [[message.id for message in page.value]]
    while page.odata_next_link:
        page = await inbox.messages.delta.with_url(page.odata_next_link).get(request_configuration=config)
        pages.append([message.id for message in page.value])
    quiet = await inbox.messages.delta.with_url(page.odata_delta_link).get(request_configuration=config)
    return [*pages, [message.id for message in quiet.value]]


def written(subject: str) -> Any:
    people = [Recipient(email_address=EmailAddress(address="bob@x.example", name="Bob"))]
    return Message(subject=subject, body=ItemBody(content="<b>x</b>", content_type=BodyType.Html), to_recipients=people)


async def uploaded(user: Any, draft: Any) -> list[int]:
    data = bytes(range(256)) * 20_000
    item = AttachmentItem(attachment_type=AttachmentType.File, name="big.bin", size=len(data))
    body = create_upload_session_post_request_body.CreateUploadSessionPostRequestBody(attachment_item=item)
    session = await user.messages.by_message_id(draft.id).attachments.create_upload_session.post(body)
    statuses = []
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=GIVEN["ca_file"])) as client:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            headers = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(data)}"}
            statuses.append((await client.put(session.upload_url, content=piece, headers=headers)).status_code)
    return statuses


async def main() -> dict[str, Any]:
    got: dict[str, Any] = {"wrong secret": token("wrong")["error_codes"]}
    certified = {"private_key": GIVEN["private_key"], "public_certificate": GIVEN["certificate"]}
    got["certificate"] = token(certified)["token_type"]
    access = token(GIVEN["secret"])["access_token"]
    got["consent"] = consented()
    http = httpx.AsyncClient(verify=ssl.create_default_context(cafile=GIVEN["ca_file"]), timeout=60)
    adapter = GraphRequestAdapter(
        BaseBearerTokenAuthenticationProvider(Tokens(access)), client=GraphClientFactory.create_with_default_middleware(client=http)
    )
    adapter.base_url = GIVEN["base"]
    user = GraphServiceClient(request_adapter=adapter).users.by_user_id(GIVEN["mailbox"])
    inbox = user.mail_folders.by_mail_folder_id("inbox")
    got["folders"] = sorted(folder.display_name for folder in (await user.mail_folders.get()).value)
    got["delta"] = await delta(inbox)
    # The first request is answered with 429: the SDK waits as it is told.
    message = (await inbox.messages.get()).value[0]
    got["list"] = [message.subject, message.from_.email_address.address, message.received_date_time.isoformat()]
    got["mime"] = (await user.messages.by_message_id(message.id).content.get()).decode()
    got["patch"] = (await user.messages.by_message_id(message.id).patch(Message(is_read=True))).is_read
    moved = await user.messages.by_message_id(message.id).move.post(MovePostRequestBody(destination_id="archive"))
    got["move"] = moved.id != message.id
    await user.messages.by_message_id(moved.id).delete()
    await user.send_mail.post(SendMailPostRequestBody(message=written("Grüße"), save_to_sent_items=True))
    draft = await user.messages.post(written("With a file"))
    got["upload"] = await uploaded(user, draft)
    await user.messages.by_message_id(draft.id).send.post()
    try:
        await user.messages.by_message_id("nothing").get()
    except APIError as error:
        got["missing"] = [type(error).__name__, error.response_status_code, error.error.code]
    return got


print(json.dumps(asyncio.run(main())))
