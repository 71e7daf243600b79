"""A way that is kept as it was decided: what an administrator keeps with a queued delivery, so that it goes where the settings led then,
whatever becomes of the connector.
"""

from __future__ import annotations

import hashlib

from mailwye.connectors.model import TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.smtp.address import Address

_PREFIX = "way:"


def pin_of(route: Route) -> str:
    """How to keep a delivery on `route` (queue/item.Delivery.pinned); "" where that cannot be: a mailbox is where the directory says it is,
    and MX records need no more than "mx".
    """
    match route.kind:
        case RouteKind.CONNECTOR:
            from mailwye.connectors.pinned_way import encoded

            return _PREFIX + encoded(route)
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
    from mailwye.connectors.pinned_way import decoded, in_common

    way = decoded(pin.removeprefix(_PREFIX))
    why = f'An administrator keeps it on the way of connector "{way.connector}" as it was then (pinned)'
    return Route(
        RouteKind.CONNECTOR,
        recipient,
        domain=recipient.domain,
        tls_settings=TlsSettings(way.tls_settings or None),
        reasons=(why,),
        kept_as=hashlib.blake2b(pin.encode(), digest_size=6).hexdigest(),
        **in_common(way),
    )


def pin_in_words(pin: str) -> str:
    """For people, and without the password."""
    if not pin.startswith(_PREFIX):
        return pin
    from mailwye.connectors.pinned_way import decoded

    try:
        way = decoded(pin.removeprefix(_PREFIX))
    except ValueError:
        return "a way that this version cannot read"
    hosts = ", ".join(map(str, way.smart_hosts)) or "MX records"
    return f"connector:{way.connector} by {hosts}, TlsSettings {way.tls_settings or 'null'}"
