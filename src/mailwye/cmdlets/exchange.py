"""What Exchange has and Mailwye's schema has not: parameters with what they mean here, and cmdlets with what to use in their place.

A name that the schema has wins over an entry here, so that an entry grows out of use by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Treatment(Enum):
    """IGNORED: a warning says why. SILENT: it changes nothing here and says nothing. REFUSED: it would promise what nobody does."""

    IGNORED = "ignored"
    SILENT = "taken, without effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ForeignParameter:
    """A parameter of Exchange without a field here. `text` says why it is ignored, or what to do instead."""

    treatment: Treatment
    text: str
    is_switch: bool = False


def _each(treatment: Treatment, names: str, text: str, *, is_switch: bool = False) -> dict[str, ForeignParameter]:
    return {name: ForeignParameter(treatment, text, is_switch) for name in names.split()}


_RESULT = "It is a result of Exchange, not a setting"
_NO_DIRECTORY = "There is no Active Directory here"
_CLIENTS = "Mailwye keeps mail, clients are served by its IMAP server"
_USAGE = "Exchange takes it for a set of defaults; give -PermissionGroups, -AuthMechanism and -RemoteIPRanges themselves"
_OTHER_RULE = "Mail flow rules choose the way only, so far: their actions and conditions are listed in docs/connectors.md"

EVERYWHERE: Mapping[str, ForeignParameter] = {
    **_each(
        Treatment.SILENT,
        "ErrorAction WarningAction InformationAction ProgressAction ErrorVariable WarningVariable InformationVariable "
        "OutVariable OutBuffer PipelineVariable",
        "It steers PowerShell itself",
    ),
    **_each(Treatment.SILENT, "Verbose Debug Force AsJob", "It steers PowerShell itself", is_switch=True),
    **_each(Treatment.IGNORED, "DomainController GlobalCatalog", _NO_DIRECTORY),
    **_each(Treatment.IGNORED, "IgnoreDefaultScope BypassSecurityGroupManagerCheck", _NO_DIRECTORY, is_switch=True),
}

READING: Mapping[str, ForeignParameter] = {
    **_each(Treatment.REFUSED, "Filter RecipientPreviewFilter Anr", "Use | Where-Object {$_.Name -like 'x*'}"),
    **_each(Treatment.SILENT, "SortBy ReadFromDomainController OrganizationalUnit", _NO_DIRECTORY),
    **_each(Treatment.SILENT, "RecipientTypeDetails RecipientType", "Each kind has a cmdlet of its own here"),
}

_RECIPIENT: Mapping[str, ForeignParameter] = {
    **_each(
        Treatment.IGNORED,
        "FirstName LastName Initials Title Department Company Office Phone MobilePhone Notes SimpleDisplayName OrganizationalUnit "
        "SamAccountName CustomAttribute1 CustomAttribute2 CustomAttribute3 CustomAttribute4 CustomAttribute5 WindowsEmailAddress "
        "HiddenFromAddressListsEnabled EmailAddressPolicyEnabled UsageLocation MailTip ImmutableId ResourceCapacity Language TimeZone",
        _NO_DIRECTORY,
    ),
    **_each(
        Treatment.IGNORED,
        "Password RoomMailboxPassword",
        "Passwords are set by `mailwye mailbox password ADDRESS`, not in a script that others can read",
    ),
    **_each(
        Treatment.IGNORED,
        "ResetPasswordOnNextLogon Database ArchiveDatabase RetentionPolicy ProhibitSendQuota ProhibitSendReceiveQuota IssueWarningQuota "
        "UseDatabaseQuotaDefaults LitigationHoldEnabled AuditEnabled RoleAssignmentPolicy SharingPolicy ActiveSyncMailboxPolicy Type",
        _CLIENTS,
    ),
    **_each(Treatment.IGNORED, "Shared Room Equipment Archive", _CLIENTS, is_switch=True),
    **_each(
        Treatment.REFUSED,
        "ForwardingSmtpAddress ForwardingAddress DeliverToMailboxAndForward",
        "Mailboxes do not forward here; make a DistributionGroup whose members are the addresses",
    ),
    **_each(
        Treatment.REFUSED,
        "AcceptMessagesOnlyFrom AcceptMessagesOnlyFromSendersOrMembers RejectMessagesFrom RejectMessagesFromSendersOrMembers "
        "GrantSendOnBehalfTo ModeratedBy ModerationEnabled MaxSendSize MaxReceiveSize RecipientLimits",
        "There is no such limit for one recipient here; leave it out",
    ),
    **_each(
        Treatment.REFUSED,
        "RequireSenderAuthenticationEnabled",
        "Everybody may write to every recipient here; leave it out",
    ),
}

PARAMETERS: Mapping[str, Mapping[str, ForeignParameter]] = {
    "InboundConnector": {
        **_each(Treatment.IGNORED, "ConnectorSource", "It says who made the connector"),
        **_each(Treatment.IGNORED, "EFTestMode EFSkipMailGateway ScanAndDropRecipients ClientHostNames", "Exchange reserves it for itself"),
        **_each(Treatment.REFUSED, "EFUsers", "Enhanced filtering applies to all recipients here; leave it out"),
        **_each(Treatment.REFUSED, "TrustedOrganizations", "There are no other tenants here; leave it out"),
    },
    "OutboundConnector": {
        **_each(Treatment.IGNORED, "ConnectorSource", "It says who made the connector"),
        **_each(Treatment.IGNORED, "IsValidated LastValidationTimestamp", _RESULT),
        **_each(Treatment.IGNORED, "LinkForModifiedConnector", "Exchange reserves it for itself"),
    },
    "AcceptedDomain": {
        **_each(Treatment.IGNORED, "CanHaveCloudCache EnableNego2Authentication PendingRemoval PendingCompletion", _RESULT),
        **_each(Treatment.IGNORED, "AddressBookEnabled", _NO_DIRECTORY),
        **_each(
            Treatment.REFUSED,
            "OutboundOnly SendingFromDomainDisabled SendingToDomainDisabled",
            "An accepted domain is for both directions here; leave it out",
        ),
    },
    "Mailbox": _RECIPIENT,
    "MailUser": _RECIPIENT,
    "MailContact": _RECIPIENT,
    "DistributionGroup": {
        **_RECIPIENT,
        **_each(
            Treatment.IGNORED,
            "ManagedBy CopyOwnerToMember MemberJoinRestriction MemberDepartRestriction Description ReportToManagerEnabled "
            "ReportToOriginatorEnabled",
            "Groups are managed by who may change the settings",
        ),
        **_each(Treatment.IGNORED, "RoomList IgnoreNamingPolicy", "Groups are managed by who may change the settings", is_switch=True),
    },
    "TransportRule": {
        **_each(Treatment.IGNORED, "RuleErrorAction", "A rule cannot fail here"),
        **_each(Treatment.IGNORED, "SenderAddressLocation", "The sender is the one of MAIL FROM (Exchange calls it Envelope)"),
        **_each(Treatment.IGNORED, "RuleSubType DlpPolicy RuleVersion", _RESULT),
        **_each(
            Treatment.REFUSED,
            "ActivationDate ExpiryDate",
            "Rules hold until they are changed; use Enable-TransportRule and Disable-TransportRule",
        ),
        **_each(
            Treatment.REFUSED,
            "RouteMessageOutboundRequireTls",
            "Set TlsSettings of the outbound connector that RouteMessageOutboundConnector names",
        ),
        **_each(
            Treatment.REFUSED,
            "From FromMemberOf FromAddressContainsWords FromAddressMatchesPatterns RecipientAddressContainsWords "
            "RecipientAddressMatchesPatterns SubjectContainsWords SubjectMatchesPatterns SubjectOrBodyContainsWords "
            "SubjectOrBodyMatchesPatterns HeaderMatchesMessageHeader HeaderMatchesPatterns SenderIpRanges AnyOfToHeader AnyOfCcHeader "
            "AttachmentSizeOver AttachmentNameMatchesPatterns MessageSizeOver SCLOver SetHeaderName SetHeaderValue RemoveHeader SetSCL "
            "RejectMessageReasonText RejectMessageEnhancedStatusCode DeleteMessage Quarantine RedirectMessageTo BlindCopyTo CopyTo "
            "AddToRecipients PrependSubject ApplyHtmlDisclaimerText ApplyHtmlDisclaimerLocation ApplyHtmlDisclaimerFallbackAction "
            "ModerateMessageByUser GenerateIncidentReport NotifySender ApplyClassification ApplyOME",
            _OTHER_RULE,
        ),
    },
    "OrganizationConfig": {},
    "SendConnector": {
        **_each(
            Treatment.IGNORED,
            "SourceTransportServers HomeMTA HomeMtaServerId ProtocolLoggingLevel FrontendProxyEnabled IsScopedConnector "
            "IsCoexistenceConnector ErrorPolicies ForceHELO ConnectorType",
            "Each installation of Mailwye sends by itself, and traces every session",
        ),
        **_each(Treatment.IGNORED, "UseExternalDNSServersEnabled", "Name servers are set in mailwye.toml, [dns]"),
        **_each(
            Treatment.IGNORED,
            "SourceIPAddress SmtpMaxMessagesPerConnection ConnectionInactivityTimeOut",
            "Set it in mailwye.toml, [delivery]",
        ),
        **_each(Treatment.IGNORED, "Usage", _USAGE, is_switch=False),
        **_each(Treatment.IGNORED, "Internet Internal Custom Partner", _USAGE, is_switch=True),
        **_each(Treatment.REFUSED, "IgnoreSTARTTLS", "TLS is used wherever it is offered; leave it out"),
        **_each(Treatment.REFUSED, "DomainSecureEnabled", "Use -RequireTLS $true -TlsAuthLevel DomainValidation with -TlsDomain"),
        **_each(Treatment.REFUSED, "LinkedReceiveConnector", "Use -AddressSpaces; leave it out"),
    },
    "ReceiveConnector": {
        **_each(
            Treatment.IGNORED,
            "Server TransportRole ProtocolLoggingLevel ServiceDiscoveryFqdn AdvertiseClientSettings",
            "Each installation of Mailwye receives by itself, and traces every session",
        ),
        **_each(
            Treatment.IGNORED,
            "Banner MaxLocalHopCount MaxInboundConnectionPercentagePerSource MessageRateLimit MessageRateSource TarpitInterval "
            "AuthTarpitInterval ExtendedProtectionPolicy ExtendedProtectionTlsTerminatedTransport",
            "Mailwye decides it, the same for every connector",
        ),
        **_each(Treatment.IGNORED, "MaxHeaderSize MaxLogonFailures", "Set it in mailwye.toml, [limits]"),
        **_each(
            Treatment.IGNORED,
            "SizeEnabled ChunkingEnabled BinaryMimeEnabled PipeliningEnabled DeliveryStatusNotificationEnabled EightBitMimeEnabled "
            "EnhancedStatusCodesEnabled SmtpUtf8Enabled",
            "The extension is always offered",
        ),
        **_each(Treatment.IGNORED, "Usage", _USAGE),
        **_each(Treatment.IGNORED, "Internet Internal Custom Partner Client", _USAGE, is_switch=True),
        **_each(Treatment.REFUSED, "DomainSecureEnabled", "Add a Partner InboundConnector with RestrictDomainsToCertificate instead"),
        **_each(Treatment.REFUSED, "SuppressXAnonymousTls EnableAuthGSSAPI", "There is no Kerberos here; leave it out"),
    },
}

RESULTS = frozenset(
    "guid identity id distinguishedname whenchanged whencreated whenchangedutc whencreatedutc isvalid organizationid objectclass "
    "exchangeversion state isvalidated lastvalidationtimestamp connectorsource recipienttype recipienttypedetails alias name "
    "exchangeguid externaldirectoryobjectid objectcategory adminDisplayname psComputername runspaceid".lower().split()
)
"""Properties that Exchange's objects have and ours lack: asked for, they are empty, as they would be without a value."""
