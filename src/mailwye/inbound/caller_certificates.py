"""Tells the memory of certificates what a caller presented. Strangers' certificates are nobody's business: whoever may make one anew for
each session would fill the memory, and drive out those that identify somebody.
"""

from __future__ import annotations

from mailwye.connectors.attribution import Caller
from mailwye.connectors.certificates import trust_in
from mailwye.connectors.matching import sender_certificate_matches
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import CERTIFICATE_NAMES, ConnectorTable
from mailwye.message.facts import PeerCertificate
from mailwye.trace.certificate_watch import CertificateWatch


def remember_certificate(watch: CertificateWatch, caller: Caller, certificate: PeerCertificate, table: ConnectorTable) -> None:
    """A transaction of `caller` begins, who presented `certificate`: under the connector that is for him, or each Partner connector that
    asks for it.
    """
    if caller.connector is not None:
        _tell(watch, caller.connector, certificate, caller.certificate_name)
        return
    for name in caller.partners:
        connector = table.inbound_by_name.get(name)
        if connector is not None and (asked := _asked_name(connector, certificate)):
            _tell(watch, connector, certificate, asked)


def _tell(watch: CertificateWatch, connector: InboundConnector, certificate: PeerCertificate, name: str) -> None:
    watch.saw(f'inbound connector "{connector.name}"', certificate, name=name, verdict=trust_in(connector, certificate).reason)


def _asked_name(connector: InboundConnector, certificate: PeerCertificate) -> str:
    """The name for which a Partner connector let the caller pass, "" where it asks for none: then a sender domain is all that he said."""
    if not connector.restrict_domains_to_certificate or not trust_in(connector, certificate).trusted:
        return ""
    pattern = connector.tls_sender_certificate_name
    return next((one for one in certificate.names[:CERTIFICATE_NAMES] if sender_certificate_matches(one, pattern)), "")
