"""Organizations of every kind of object with every field, as hypothesis makes them: plain values for `Organization.of`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_LABEL = st.from_regex(r"[a-z]([a-z0-9]{0,4}[a-z0-9])?", fullmatch=True)
DOMAIN = st.builds("{}.{}".format, _LABEL, st.sampled_from(["com", "example", "XN--BCHER-KVA"]))
_PATTERN = st.one_of(st.just("*"), DOMAIN, DOMAIN.map("*.{}".format))
ADDRESS = st.builds("{}@{}".format, st.from_regex(r"[A-Za-z0-9+=]{1,8}|\"[a-z ]{1,4}\"", fullmatch=True), DOMAIN)
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Co", "Cn")), max_size=20)
_NAME = st.one_of(st.sampled_from(["on", "no", "null", "007", "1e3", "~", "12:30", "- a", "a: b", "#x", "=", "None"]), _TEXT)
_NAME = _NAME.filter(lambda text: bool(text.strip()))
_NETWORK = st.one_of(st.ip_addresses().map(str), st.sampled_from(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1-192.0.2.9"]))
_HOST = st.one_of(
    DOMAIN,
    st.builds("{}:{}".format, DOMAIN, st.integers(1, 65535)),
    DOMAIN.map("[{}]".format),
    st.ip_addresses().map(str),
    st.fixed_dictionaries(
        {"Host": DOMAIN}, optional={"Port": st.integers(1, 65535), "Priority": st.integers(0, 99), "Weight": st.integers(1, 9)}
    ),
)
_FLAG = st.booleans()
_CERTIFICATE_NAME = st.builds("{}{}.contoso.com".format, st.sampled_from(["", "*."]), _LABEL)
_SCOPE = st.sampled_from([None, "InOrganization", "notinorganization"])
_WORDS = st.lists(st.from_regex(r"[a-zäö]{1,6}( [a-z]{1,3})?", fullmatch=True), max_size=3)


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


def _objects(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    key = next(iter(required))
    return st.lists(
        st.fixed_dictionaries(required, optional=optional), max_size=3, unique_by=lambda entry: str(entry[key]).strip().casefold()
    )


_RECIPIENT = {"EmailAddresses": _some(ADDRESS), "DisplayName": _TEXT}
_PREDICATES = {
    "SentTo": _some(ADDRESS),
    "SentToMemberOf": _some(ADDRESS),
    "RecipientDomainIs": _some(DOMAIN),
    "SenderDomainIs": _some(DOMAIN),
    "FromScope": _SCOPE,
    "SentToScope": _SCOPE,
    "HeaderContainsMessageHeader": st.sampled_from(["", "X-Site", "Subject"]),
    "HeaderContainsWords": _WORDS,
}
_LOGIN = {
    "SmartHostAuthMechanism": st.sampled_from(["None", "basicauthrequiretls"]),
    "AuthenticationCredential": st.fixed_dictionaries({"UserName": st.sampled_from(["u", "a: b", "ü@x"]), "Password": st.just("(saved)")}),
}
_SIZE = st.one_of(st.sampled_from(["64KB", "35MB", "1gb", "25 MB (26,214,400 bytes)"]), st.integers(65_536, 2_147_483_647))
_TIME = st.sampled_from(["00:10:00", "1.00:00:00", 600, "90"])
_COUNT = st.one_of(st.just("unlimited"), st.integers(1, 9_999))
_TLS_NAME = st.sampled_from(["", "<I>CN=Contoso CA, O=Contoso<S>CN=mail.contoso.com", "<I>i<S>s"])
_OWN_SERVER = {
    "SendConnector": _objects(
        {"Name": _NAME.map("S {}".format), "AddressSpaces": st.lists(_PATTERN, min_size=1, max_size=3, unique_by=str.lower)},
        {
            "Enabled": _FLAG,
            "Comment": _TEXT,
            "DNSRoutingEnabled": _FLAG,
            "SmartHosts": _some(_HOST),
            "Port": st.integers(1, 65_535),
            "RequireTLS": _FLAG,
            "TlsAuthLevel": st.sampled_from([None, "EncryptionOnly", "domainvalidation"]),
            "TlsDomain": _CERTIFICATE_NAME,
            "TlsCertificateName": _TLS_NAME,
            "Fqdn": DOMAIN,
            "CloudServicesMailEnabled": _FLAG,
            "MaxMessageSize": st.one_of(st.just("unlimited"), _SIZE),
            **_LOGIN,
        },
    ),
    "ReceiveConnector": _objects(
        {"Name": _NAME, "Bindings": st.lists(st.sampled_from(["0.0.0.0:25", ":::25", "[::1]:587", "192.0.2.1:2525"]), min_size=1)},
        {
            "Enabled": _FLAG,
            "Comment": _TEXT,
            "RemoteIPRanges": st.lists(_NETWORK, min_size=1, max_size=3),
            "Fqdn": DOMAIN,
            "TlsCertificateName": _TLS_NAME,
            "TlsDomainCapabilities": _some(_CERTIFICATE_NAME.map("{}:acceptcloudservicesmail".format)),
            "PermissionGroups": st.sampled_from([[], "None", "AnonymousUsers, exchangeservers", ["Partners"]]),
            "AuthMechanism": st.sampled_from([[], "None", "tls, BasicAuth", ["BasicAuthRequireTLS"]]),
            "RequireTLS": _FLAG,
            "MaxHopCount": st.integers(1, 500),
            "MaxMessageSize": _SIZE,
            "MaxRecipientsPerMessage": st.integers(1, 512_000),
            "MaxProtocolErrors": _COUNT,
            "MaxInboundConnection": _COUNT,
            "MaxInboundConnectionPerSource": _COUNT,
            "ConnectionTimeout": _TIME,
            "ConnectionInactivityTimeout": _TIME,
        },
    ),
}
ORGANIZATIONS = st.fixed_dictionaries(
    {"Organization": st.fixed_dictionaries({"Name": _NAME}, optional={"SenderRewritingEnabled": _FLAG})},
    optional={
        "AcceptedDomain": _objects(
            {"DomainName": DOMAIN},
            {
                "DomainType": st.sampled_from(["authoritative", "InternalRelay"]),
                "Default": _FLAG,
                "Name": _TEXT,
                "MtaStsMode": st.sampled_from([None, "enforce", "testing", "none"]),
                "MtaStsMXHosts": _some(DOMAIN),
                "MtaStsMaxAge": st.integers(86_400, 31_557_600),
            },
        ),
        "Mailbox": _objects({"PrimarySmtpAddress": ADDRESS}, _RECIPIENT),
        "MailUser": _objects({"PrimarySmtpAddress": ADDRESS}, {**_RECIPIENT, "ExternalEmailAddress": ADDRESS}),
        "MailContact": _objects({"ExternalEmailAddress": ADDRESS}, {**_RECIPIENT, "PrimarySmtpAddress": ADDRESS}),
        "DistributionGroup": _objects({"PrimarySmtpAddress": ADDRESS}, {**_RECIPIENT, "Members": _some(ADDRESS)}),
        "InboundConnector": _objects(
            {"Name": _NAME},
            {
                "Enabled": _FLAG,
                "ConnectorType": st.sampled_from(["OnPremises", "partner"]),
                "Comment": _TEXT,
                "SenderDomains": _some(_PATTERN),
                "SenderIPAddresses": _some(_NETWORK),
                "TlsSenderCertificateName": _CERTIFICATE_NAME,
                "TrustedAuthorities": _some(_NAME),
                "TlsSenderCertificatePins": _some(st.binary(min_size=32, max_size=32).map(bytes.hex)),
                "RequireTls": _FLAG,
                "AssociatedAcceptedDomains": _some(DOMAIN),
                "CloudServicesMailEnabled": _FLAG,
                "EFSkipIPs": _some(_NETWORK),
                "EFSkipLastIP": _FLAG,
            },
        ),
        "OutboundConnector": _objects(
            {"Name": _NAME},
            {
                "Enabled": _FLAG,
                "ConnectorType": st.sampled_from(["onpremises", "PARTNER"]),
                "Comment": _TEXT,
                "RecipientDomains": _some(_PATTERN),
                "AllAcceptedDomains": _FLAG,
                "IsTransportRuleScoped": _FLAG,
                "UseMXRecord": _FLAG,
                "SmartHosts": _some(_HOST),
                "TlsSettings": st.sampled_from([None, "EncryptionOnly", "domainvalidation"]),
                "TlsDomain": _CERTIFICATE_NAME,
                "MtaStsMode": st.sampled_from(["Opportunistic", "none"]),
                "SmtpDaneMode": st.sampled_from(["Opportunistic", "Mandatory", "None"]),
                "TestMode": _FLAG,
                "ValidationRecipients": _some(ADDRESS),
                "ClientCertificate": _TEXT,
                **_LOGIN,
            },
        ),
        **_OWN_SERVER,
        "TransportRule": _objects(
            {"Name": _NAME, "RouteMessageOutboundConnector": _NAME},
            {
                "Enabled": _FLAG,
                "Mode": st.sampled_from(["Enforce", "audit"]),
                **_PREDICATES,
                **{f"ExceptIf{name}": values for name, values in _PREDICATES.items()},
                "StopRuleProcessing": _FLAG,
                "Comments": _TEXT,
            },
        ),
    },
)
"""Two recipients of different kinds may bear one address in them, which the reader of files refuses."""
