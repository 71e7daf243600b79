"""What a pin holds, as text. Apart from pins.py, which everybody imports who decides on ways: few deliveries are pinned, and msgspec takes
its time to load.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mailwye.connectors.model import Credential, MtaStsMode, SmartHost, SmtpDaneMode
from mailwye.connectors.selection import Route


class Way(msgspec.Struct, array_like=True, frozen=True):
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


_SAME = tuple(name for name in Way.__struct_fields__ if name != "tls_settings")
_decode = msgspec.json.Decoder(Way).decode


def encoded(route: Route) -> str:
    """A route of kind CONNECTOR as text."""
    way = Way(tls_settings=route.tls_settings.value or "", **{name: getattr(route, name) for name in _SAME})
    return msgspec.json.encode(way).decode()


def decoded(text: str) -> Way:
    """The reverse of `encoded`. :raises ValueError: a later Mailwye wrote it, or it is damaged."""
    return _decode(text)


def in_common(way: Way) -> dict[str, Any]:
    """What a Route takes over from it as it is."""
    return {name: getattr(way, name) for name in _SAME}
