"""What will change in a message on its way out, in words for `explain`: by the settings of the Route, which outbound/departure.py obeys."""

from __future__ import annotations

from mailwye.connectors.selection import Route, RouteKind
from mailwye.directory.lookup import Directory
from mailwye.smtp.address import Address


def is_foreign(directory: Directory, sender: Address | None) -> bool:
    """Whether a sender is somebody's outside: the null sender is nobody's."""
    return sender is not None and directory.accepted_domain(sender.domain) is None


def changes(route: Route, directory: Directory, sender: Address | None) -> tuple[str, ...]:
    """Sentences for a route to another server; () for mailboxes and for no way."""
    if route.kind not in (RouteKind.CONNECTOR, RouteKind.MX):
        return ()
    if route.cloud_services_mail_enabled:
        told = ["X-MS-Exchange-Organization-* headers cross as X-MS-Exchange-CrossPremises-* (CloudServicesMailEnabled)"]
    else:
        told = ["X-MS-Exchange-Organization-* headers do not leave (no CloudServicesMailEnabled of an OnPremises connector)"]
    if route.remove_internal_received_headers:
        told.append("Received lines of the own network are removed (RemoveInternalReceivedHeaders)")
    if route.rewrites_sender and is_foreign(directory, sender):
        where = f"an address in {directory.default_domain}" if directory.default_domain else "nothing else: there is no default domain"
        told.append(f"The foreign sender {sender} becomes {where} (SenderRewritingEnabled)")
    return tuple(told)
