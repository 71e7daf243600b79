"""Of the connectors of Exchange Server."""

from __future__ import annotations

from mailwye.config.exchange.entry import IGNORED, REFUSED, ExchangeOnly, Import, parameters, results

_USAGE = "Exchange takes it for a set of defaults; give PermissionGroups, AuthMechanism and RemoteIPRanges themselves"
_EACH = "Each installation of Mailwye sends and receives by itself, and traces every session"
_DELIVERY = "Set it in mailwye.toml, [delivery]"
_SAME = "Mailwye decides it, the same for every connector"

_MUTUAL = (
    "DomainSecureEnabled (mutual TLS with the domains of the transport settings) does not exist here",
    (
        "Where a partner must prove itself, add an InboundConnector of type Partner with RestrictDomainsToCertificate, and TlsAuthLevel "
        "DomainValidation with TlsDomain on the way out"
    ),
)
SEND = (
    *parameters("SourceTransportServers HomeMTA HomeMtaServerId ProtocolLoggingLevel FrontendProxyEnabled", IGNORED, _EACH),
    *parameters("IsCoexistenceConnector ConnectorType", IGNORED, "CloudServicesMailEnabled says whether the other side is the service"),
    *parameters("ErrorPolicies", IGNORED, "Replies are taken for what they say"),
    *parameters("ForceHELO", IGNORED, "HELO is said where EHLO is not understood"),
    *parameters("SmtpMaxMessagesPerConnection ConnectionInactivityTimeOut", IGNORED, _DELIVERY),
    *parameters("Usage", IGNORED, _USAGE),
    *parameters("Internet Internal Custom Partner", IGNORED, _USAGE, is_switch=True),
    *results("SourceRoutingGroup SmartHostsString IsSmtpConnector ConnectedDomains"),
    ExchangeOnly(
        "IsScopedConnector",
        "There is one site",
        IGNORED,
        Import.CHANGED,
        "there is one site: it serves all mail of this installation",
        "Leave it out where it should not",
    ),
    ExchangeOnly(
        "UseExternalDNSServersEnabled",
        "Set nameservers in [dns] of mailwye.toml",
        IGNORED,
        Import.LEFT_OUT,
        "name servers are the same for all",
    ),
    ExchangeOnly(
        "SourceIPAddress",
        "Set source_address in [delivery] of mailwye.toml",
        IGNORED,
        Import.LEFT_OUT,
        "the own address is the same for all",
        unset="0.0.0.0",
    ),
    ExchangeOnly(
        "IgnoreSTARTTLS",
        "TLS is used wherever it is offered",
        REFUSED,
        Import.CHANGED,
        "TLS is used wherever it is offered",
        "Check that the other side's TLS works",
    ),
    ExchangeOnly("DomainSecureEnabled", "Use RequireTLS, TlsAuthLevel DomainValidation and TlsDomain", REFUSED, Import.LEFT_OUT, *_MUTUAL),
    ExchangeOnly(
        "LinkedReceiveConnector",
        "Use AddressSpaces",
        REFUSED,
        Import.WHOLE,
        "it only takes mail of its LinkedReceiveConnector",
        "Use AddressSpaces, or a mail flow rule",
    ),
)

RECEIVE = (
    *parameters("Server TransportRole ProtocolLoggingLevel ServiceDiscoveryFqdn AdvertiseClientSettings", IGNORED, _EACH),
    *parameters("Banner", IGNORED, "The greeting tells Fqdn"),
    *parameters("MaxLocalHopCount", IGNORED, "MaxHopCount counts all hops"),
    *parameters("MaxInboundConnectionPercentagePerSource", IGNORED, "Set MaxInboundConnectionPerSource"),
    *parameters("TarpitInterval", IGNORED, "Errors end the session after MaxProtocolErrors"),
    *parameters("AuthTarpitInterval", IGNORED, "A wrong password is answered after two seconds"),
    *parameters("MessageRateSource ExtendedProtectionPolicy ExtendedProtectionTlsTerminatedTransport", IGNORED, _SAME),
    *parameters("MaxHeaderSize", IGNORED, "Set header_octets in [limits] of mailwye.toml"),
    *parameters("MaxLogonFailures", IGNORED, "Set failed_logins_per_address in [limits] of mailwye.toml"),
    *parameters(
        "SizeEnabled ChunkingEnabled BinaryMimeEnabled PipeliningEnabled DeliveryStatusNotificationEnabled EightBitMimeEnabled "
        "EnhancedStatusCodesEnabled SmtpUtf8Enabled",
        IGNORED,
        "The extension is always offered",
    ),
    *parameters("Usage", IGNORED, _USAGE),
    *parameters("Internet Internal Custom Partner Client", IGNORED, _USAGE, is_switch=True),
    *parameters("SuppressXAnonymousTls EnableAuthGSSAPI", REFUSED, "There is no Kerberos here"),
    *results(
        "OrarEnabled LongAddressesEnabled MaxAcknowledgementDelay LiveCredentialEnabled ProxyEnabled PermissionGroupsString "
        "BareLinefeedRejectionEnabled RejectReservedTopLevelRecipientDomains RejectReservedSecondLevelRecipientDomains "
        "RejectSingleLabelRecipientDomains AcceptConsumerMail"
    ),
    ExchangeOnly(
        "MessageRateLimit",
        "Set MaxInboundConnectionPerSource",
        IGNORED,
        Import.LEFT_OUT,
        "messages are not counted per minute",
        unset="unlimited",
    ),
    ExchangeOnly(
        "DefaultDomain", "Let the senders write whole addresses", REFUSED, Import.LEFT_OUT, "addresses without a domain are refused"
    ),
    ExchangeOnly(
        "DomainSecureEnabled",
        "Add a Partner InboundConnector with RestrictDomainsToCertificate instead",
        REFUSED,
        Import.LEFT_OUT,
        *_MUTUAL,
    ),
)
