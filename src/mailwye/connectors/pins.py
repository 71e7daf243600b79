"""A way that is kept as it was decided: what an administrator keeps with a queued delivery, so that it goes where the settings led then,
whatever becomes of the connector.
"""

from __future__ import annotations

import hashlib

import msgspec

from mailwye.connectors.model import Credential, MtaStsMode, SmartHost, SmtpDaneMode, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.smtp.address import Address

_PREFIX = "way:"


class _Way(msgspec.Struct, array_like=True, frozen=True):
    """What a Route of kind CONNECTOR says beside its recipient and reasons. Stored as an array: a later version may append fields with
    defaults, never change or remove one.
    """

    connector: str
    smart_hosts: tuple[SmartHost, ...]
    tls_settings: str
    tls_domain: str
    client_certificate: str
    cloud_services_mail_enabled: bool
    remove_internal_received_headers: bool
    rewrites_sender: bool
    mta_sts_mode: MtaStsMode
    smtp_dane_mode: SmtpDaneMode
    credential: Credential | None  # its password is sealed
    hello_name: str
    max_message_size: int
    tls_field: str


_SAME = tuple(name for name in _Way.__struct_fields__ if name != "tls_settings")
_decode = msgspec.json.Decoder(_Way).decode


def pin_of(route: Route) -> str:
    """How to keep a delivery on `route` (queue/item.Delivery.pinned); "" where that cannot be: a mailbox is where the directory says it is,
    and MX records need no more than "mx".
    """
    match route.kind:
        case RouteKind.CONNECTOR:
            way = _Way(tls_settings=route.tls_settings.value or "", **{name: getattr(route, name) for name in _SAME})
            return _PREFIX + msgspec.json.encode(way).decode()
        case RouteKind.MX:
            return "mx"
        case _:
            return ""


def kept_way(pin: str, recipient: Address) -> Route | None:
    """The way that `pin` holds, for `recipient`; None: it holds none ("mx", or the name of a connector).

    :raises ValueError: it cannot be read: a later Mailwye wrote it.
    """
    if not pin.startswith(_PREFIX):
        return None
    way = _decode(pin.removeprefix(_PREFIX))
    why = f'An administrator keeps it on the way of connector "{way.connector}" as it was then (pinned)'
    return Route(
        RouteKind.CONNECTOR,
        recipient,
        domain=recipient.domain,
        tls_settings=TlsSettings(way.tls_settings or None),
        reasons=(why,),
        kept_as=hashlib.blake2b(pin.encode(), digest_size=6).hexdigest(),
        **{name: getattr(way, name) for name in _SAME},
    )


def pin_in_words(pin: str) -> str:
    """For people, and without the password."""
    if not pin.startswith(_PREFIX):
        return pin
    try:
        way = _decode(pin.removeprefix(_PREFIX))
    except ValueError:
        return "a way that this version cannot read"
    hosts = ", ".join(map(str, way.smart_hosts)) or "MX records"
    return f"connector:{way.connector} by {hosts}, TlsSettings {way.tls_settings or 'null'}"
