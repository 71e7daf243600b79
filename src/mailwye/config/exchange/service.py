"""Of the objects that Exchange Online has: connectors, domains, recipients, rules."""

from __future__ import annotations

from mailwye.config.exchange.entry import IGNORED, REFUSED, RESULT, ExchangeOnly, Import, parameters, results

_IDENTITY = "Name, DomainName or PrimarySmtpAddress is the identity"
_NO_DIRECTORY = "There is no Active Directory here"
_CLIENTS = "Mailwye keeps mail, clients are served by its IMAP server"
_MAKER = "It says who made the connector"
_RESERVED = "Exchange reserves it for itself"
_EVERYBODY = "Everybody may write to every recipient here"
_NO_LIMIT = "There is no such limit for one recipient here"
_MANAGED = "Groups are managed by who may change the settings"

# Facts about any object: who made it when, where it is stored, what somebody found out about it.
ANY = (
    *(ExchangeOnly(name, _IDENTITY) for name in ("Identity", "Guid", "Id")),
    ExchangeOnly("State", "Set Enabled true or false", imported=Import.UNKNOWN),
    *results(
        "ObjectGuid ExchangeObjectId ImmutableId ObjectId DistinguishedName ObjectCategory ObjectClass ObjectState IsValid ExchangeVersion "
        "OriginatingServer OrganizationId OrganizationalUnitRoot OrganizationalUnit WhenChanged WhenCreated WhenChangedUTC WhenCreatedUTC "
        "RunspaceId PSComputerName PSShowComputerName AdminDisplayName IsValidated LastValidationTimestamp LegacyExchangeDN "
        "ExternalDirectoryObjectId PropertyNames RawIdentity Ensure"
    ),
    ExchangeOnly("ConnectorSource", _MAKER),
    ExchangeOnly("LinkForModifiedConnector", _RESERVED),
)

INBOUND = (
    *parameters("ConnectorSource", IGNORED, _MAKER),
    ExchangeOnly(
        "EFTestMode",
        _RESERVED,
        IGNORED,
        Import.CHANGED,
        "EFTestMode does not exist: enhanced filtering is in force here",
        "Remove EFSkipIPs and EFSkipLastIP until then",
    ),
    *(
        ExchangeOnly(
            name,
            _RESERVED,
            IGNORED,
            Import.LEFT_OUT,
            "Microsoft's page calls it reserved and does not say what it does",
            "Nothing is to be done",
        )
        for name in ("EFSkipMailGateway", "ScanAndDropRecipients", "ClientHostNames")
    ),
    ExchangeOnly(
        "EFUsers",
        "Enhanced filtering applies to all recipients here",
        REFUSED,
        Import.CHANGED,
        "enhanced filtering is for all recipients here, not for EFUsers alone",
        "Leave EFSkipIPs out where that is too much",
    ),
    ExchangeOnly(
        "TrustedOrganizations",
        "There are no other tenants here",
        REFUSED,
        Import.WHOLE,
        "with TrustedOrganizations Exchange ignores the connector's other settings; there are no other tenants here",
        "Describe the other organization's servers by address or certificate in a connector of their own",
    ),
)

OUTBOUND = (
    *parameters("ConnectorSource", IGNORED, _MAKER),
    *parameters("IsValidated LastValidationTimestamp", IGNORED, RESULT),
    *parameters("LinkForModifiedConnector", IGNORED, _RESERVED),
)

_BOTH_DIRECTIONS = "An accepted domain is for both directions here"
DOMAIN = (
    *parameters("CanHaveCloudCache EnableNego2Authentication PendingRemoval PendingCompletion", IGNORED, RESULT),
    *parameters("AddressBookEnabled", IGNORED, _NO_DIRECTORY),
    *results(
        "AuthenticationType CanCoexist DualProvisioningEnabled EmailOnly ExternallyManaged FederatedOrganizationLink InitialDomain "
        "IsCoexistenceDomain IsDefaultFederatedDomain LiveIdInstanceType MailFlowPartner PendingFederatedAccountNamespace "
        "PendingFederatedDomain PerimeterDuplicateDetected RawCapabilities UsnCreated IsGalLegacy Fqdn"
    ),
    ExchangeOnly(
        "CatchAllRecipientID",
        "List the addresses, or make the domain InternalRelay with a connector to the server that has them",
        REFUSED,
        Import.LEFT_OUT,
        "an address for everybody of a domain (catch-all) does not exist here",
    ),
    ExchangeOnly(
        "OutboundOnly",
        _BOTH_DIRECTIONS,
        REFUSED,
        Import.WHOLE,
        "with OutboundOnly it takes no mail",
        "Add it by hand if mail for it should be taken",
    ),
    ExchangeOnly(
        "SendingFromDomainDisabled",
        _BOTH_DIRECTIONS,
        REFUSED,
        Import.LEFT_OUT,
        "sending from a domain cannot be switched off here",
        "Restrict SenderDomains of the connectors",
    ),
    ExchangeOnly(
        "SendingToDomainDisabled",
        _BOTH_DIRECTIONS,
        REFUSED,
        Import.WHOLE,
        "no mail is sent to it",
        "Add it by hand if mail for it should be taken",
    ),
)

RECIPIENT = (
    *parameters(
        "FirstName LastName Initials Title Department Company Office Phone MobilePhone Notes SimpleDisplayName OrganizationalUnit "
        "SamAccountName CustomAttribute1 CustomAttribute2 CustomAttribute3 CustomAttribute4 CustomAttribute5 WindowsEmailAddress "
        "HiddenFromAddressListsEnabled EmailAddressPolicyEnabled UsageLocation MailTip ImmutableId ResourceCapacity Language TimeZone",
        IGNORED,
        _NO_DIRECTORY,
    ),
    *parameters(
        "Password RoomMailboxPassword",
        IGNORED,
        "Passwords are set by `mailwye mailbox password ADDRESS`, not in a script that others can read",
    ),
    *parameters(
        "ResetPasswordOnNextLogon Database ArchiveDatabase RetentionPolicy ProhibitSendQuota ProhibitSendReceiveQuota IssueWarningQuota "
        "UseDatabaseQuotaDefaults LitigationHoldEnabled AuditEnabled RoleAssignmentPolicy SharingPolicy ActiveSyncMailboxPolicy Type",
        IGNORED,
        _CLIENTS,
    ),
    *parameters("Shared Room Equipment Archive", IGNORED, _CLIENTS, is_switch=True),
    *(
        ExchangeOnly(
            name,
            "Mailboxes do not forward here; make a DistributionGroup whose members are the addresses",
            REFUSED,
            Import.LEFT_OUT,
            "a mailbox that forwards does not exist here: its mail stays in it",
            "Make it a MailUser with ExternalEmailAddress, or a DistributionGroup of both addresses with the mailbox under another one",
        )
        for name in ("ForwardingSmtpAddress", "ForwardingAddress")
    ),
    *parameters("DeliverToMailboxAndForward", REFUSED, "Mailboxes do not forward here"),
    *(
        ExchangeOnly(
            name,
            _EVERYBODY,
            REFUSED,
            Import.LEFT_OUT,
            "who may write to a recipient is not restricted here",
            "Restrict it where the mailbox is, or leave the recipient out",
        )
        for name in (
            *("AcceptMessagesOnlyFrom", "AcceptMessagesOnlyFromSendersOrMembers", "RejectMessagesFrom"),
            "RejectMessagesFromSendersOrMembers",
        )
    ),
    ExchangeOnly(
        "ModerationEnabled",
        "Messages are not held for a moderator",
        REFUSED,
        Import.LEFT_OUT,
        "messages are not held for a moderator",
        "Moderate where the mailbox is, or leave the recipient out",
    ),
    *parameters("ModeratedBy", REFUSED, "Messages are not held for a moderator"),
    *parameters("GrantSendOnBehalfTo MaxSendSize MaxReceiveSize RecipientLimits", REFUSED, _NO_LIMIT),
    ExchangeOnly(
        "RequireSenderAuthenticationEnabled",
        _EVERYBODY,
        REFUSED,
        Import.CHANGED,
        "everybody may write to it here, not only the organization's own people",
        "Restrict it where the mailbox is",
    ),
)

GROUP = (
    *RECIPIENT,
    *parameters(
        "ManagedBy CopyOwnerToMember MemberJoinRestriction MemberDepartRestriction Description ReportToManagerEnabled "
        "ReportToOriginatorEnabled",
        IGNORED,
        _MANAGED,
    ),
    *parameters("RoomList IgnoreNamingPolicy", IGNORED, _MANAGED, is_switch=True),
)

_OTHER_RULES = (
    "From FromMemberOf FromAddressContainsWords FromAddressMatchesPatterns RecipientAddressContainsWords "
    "RecipientAddressMatchesPatterns SubjectContainsWords SubjectMatchesPatterns SubjectOrBodyContainsWords "
    "SubjectOrBodyMatchesPatterns HeaderMatchesMessageHeader HeaderMatchesPatterns SenderIpRanges AnyOfToHeader AnyOfCcHeader "
    "AttachmentSizeOver AttachmentNameMatchesPatterns MessageSizeOver SCLOver SetHeaderName SetHeaderValue RemoveHeader SetSCL "
    "RejectMessageReasonText RejectMessageEnhancedStatusCode DeleteMessage Quarantine RedirectMessageTo BlindCopyTo CopyTo "
    "AddToRecipients PrependSubject ApplyHtmlDisclaimerText ApplyHtmlDisclaimerLocation ApplyHtmlDisclaimerFallbackAction "
    "ModerateMessageByUser GenerateIncidentReport NotifySender ApplyClassification ApplyOME"
)
RULE = (
    *parameters("RuleErrorAction", IGNORED, "A rule cannot fail here"),
    ExchangeOnly(
        "SenderAddressLocation", "The sender is the one of MAIL FROM (Exchange calls it Envelope)", IGNORED, imported=Import.UNKNOWN
    ),
    *parameters("RuleSubType DlpPolicy RuleVersion", IGNORED, RESULT),
    *results(
        "Description CreatedBy LastModifiedBy ManuallyModified RecipientAddressType UseLegacyRegex DlpPolicyId "
        "IsRuleConfigurationSupported RuleConfigurationUnsupportedReason Conditions Exceptions Actions"
    ),
    ExchangeOnly(
        "SetAuditSeverity",
        "There is no audit log with severities; `mailwye trace` tells what a rule did",
        IGNORED,
        Import.LEFT_OUT,
        "there is no audit log with severities; `mailwye trace` tells what a rule did",
        "Nothing is to be done",
    ),
    *(
        ExchangeOnly(name, "Rules hold until they are changed; enable or disable it when it is time", REFUSED, Import.WHOLE, reason, remedy)
        for name, reason, remedy in (
            (
                "ActivationDate",
                "a rule here is in force from the moment when it is saved, not from ActivationDate",
                "Add it when it is time",
            ),
            ("ExpiryDate", "a rule here does not end by itself at ExpiryDate", "Add it by hand, and remove it when it is time"),
        )
    ),
    ExchangeOnly(
        "RouteMessageOutboundRequireTls",
        "Set TlsSettings of the outbound connector that RouteMessageOutboundConnector names",
        REFUSED,
        Import.UNKNOWN,
    ),
    *(
        ExchangeOnly(
            name,
            "Mail flow rules choose the way only, so far: their actions and conditions are listed in docs/connectors.md",
            REFUSED,
            Import.UNKNOWN,
        )
        for name in _OTHER_RULES.split()
    ),
)
