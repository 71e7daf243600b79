"""Settings of Exchange Server's connectors that say something true there and nothing here: in lower case, each with its remedy."""

from __future__ import annotations

_BOTH = {
    "usage": "It only chooses the first values of other settings; set PermissionGroups and AuthMechanism yourself",
    "protocollogginglevel": "The trace records every session; remove it",
}

EXCHANGE_SERVER_ONLY: dict[str, dict[str, str]] = {
    "SendConnector": {
        **_BOTH,
        "sourcetransportservers": "There is one server: this one; remove it",
        "isscopedconnector": "There is one site; remove it",
        "frontendproxyenabled": "There is one server: this one; remove it",
        "homemta": "There is one server: this one; remove it",
        "ignorestarttls": "TLS is used wherever it is offered; remove it",
        "forcehelo": "HELO is said where EHLO is not understood; remove it",
        "errorpolicies": "Replies are taken for what they say; remove it",
        "domainsecureenabled": "Use TlsAuthLevel DomainValidation with TlsDomain, and Partner connectors; remove it",
        "useexternaldnsserversenabled": "Set nameservers in [dns] of mailwye.toml; remove it",
        "sourceipaddress": "Set source_address in [delivery] of mailwye.toml; remove it",
        "smtpmaxmessagesperconnection": "Set messages_per_connection in [delivery] of mailwye.toml; remove it",
        "connectioninactivitytimeout": "Set connection_idle in [delivery] of mailwye.toml; remove it",
        "connectortype": "CloudServicesMailEnabled says whether the other side is the service; remove it",
        "linkedreceiveconnector": "Use AddressSpaces; remove it",
    },
    "ReceiveConnector": {
        **_BOTH,
        "server": "There is one server: this one; remove it",
        "transportrole": "There is one service that takes mail; remove it",
        "banner": "The greeting tells Fqdn; remove it",
        "maxheadersize": "Set header_octets in [limits] of mailwye.toml; remove it",
        "maxlocalhopcount": "MaxHopCount counts all hops; remove it",
        "maxlogonfailures": "Set failed_logins_per_address in [limits] of mailwye.toml; remove it",
        "maxinboundconnectionpercentagepersource": "Set MaxInboundConnectionPerSource; remove it",
        "messageratelimit": "Set MaxInboundConnectionPerSource; remove it",
        "tarpitinterval": "Errors end the session after MaxProtocolErrors; remove it",
        "authtarpitinterval": "A wrong password is answered after two seconds; remove it",
        "sizeenabled": "SIZE is always offered; remove it",
        "chunkingenabled": "CHUNKING is always offered; remove it",
        "binarymimeenabled": "BINARYMIME is always offered; remove it",
        "pipeliningenabled": "PIPELINING is always offered; remove it",
        "deliverystatusnotificationenabled": "DSN is always offered; remove it",
        "eightbitmimeenabled": "8BITMIME is always offered; remove it",
    },
}
"""By kind."""
