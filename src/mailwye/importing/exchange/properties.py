"""The properties of Exchange's objects that are no fields here: which say nothing about mail flow, and what follows from the others."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.importing.report import Outcome


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Facts about an object, not settings: who made it when, where it is stored, what somebody found out about it.
FACTS = _words(
    """
    identity guid id objectguid exchangeobjectid immutableid objectid distinguishedname objectcategory objectclass objectstate isvalid
    exchangeversion originatingserver organizationid organizationalunitroot organizationalunit whenchanged whencreated whenchangedutc
    whencreatedutc runspaceid pscomputername psshowcomputername admindisplayname connectorsource isvalidated lastvalidationtimestamp
    linkformodifiedconnector legacyexchangedn externaldirectoryobjectid propertynames rawidentity ensure
    """
)

# What Microsoft365DSC adds to each block: how it logs in, and its own bookkeeping.
LOGIN = _words(
    """
    credential globaladminaccount applicationid applicationsecret tenantid certificatethumbprint certificatepath certificatepassword
    managedidentity accesstokens dependson psdscrunascredential issingleinstance resourceid resourcename sourceinfo modulename
    moduleversion
    """
)

# Of an accepted domain: how people log in, and what the service does with other kinds of traffic.
_DOMAIN_FACTS = _words(
    """
    addressbookenabled authenticationtype cancoexist canhavecloudcache dualprovisioningenabled emailonly
    enablenego2authentication externallymanaged federatedorganizationlink initialdomain iscoexistencedomain isdefaultfederateddomain
    liveidinstancetype mailflowpartner pendingcompletion pendingfederatedaccountnamespace pendingfederateddomain pendingremoval
    perimeterduplicatedetected rawcapabilities usncreated isgallegacy fqdn
    """
)

# Of a rule: provenance, wording, and evaluation details without a counterpart.
_RULE_FACTS = _words(
    """
    description createdby lastmodifiedby manuallymodified ruleversion rulesubtype recipientaddresstype uselegacyregex dlppolicyid
    isruleconfigurationsupported ruleconfigurationunsupportedreason conditions exceptions actions dlppolicy
    """
)

# Of Exchange Server's connectors: which server they are on, and what Mailwye decides once for all of them.
_SEND_FACTS = _words(
    """
    sourcetransportservers homemta homemtaserverid sourceroutinggroup smarthostsstring issmtpconnector connecteddomains
    protocollogginglevel errorpolicies frontendproxyenabled iscoexistenceconnector forcehelo connectortype usage
    connectioninactivitytimeout smtpmaxmessagesperconnection
    """
)
_RECEIVE_FACTS = _words(
    """
    server transportrole protocollogginglevel usage banner sizeenabled chunkingenabled binarymimeenabled pipeliningenabled
    deliverystatusnotificationenabled eightbitmimeenabled enhancedstatuscodesenabled smtputf8enabled orarenabled longaddressesenabled
    maxheadersize maxlocalhopcount maxlogonfailures maxinboundconnectionpercentagepersource tarpitinterval authtarpitinterval
    maxacknowledgementdelay messageratesource extendedprotectionpolicy enableauthgssapi suppressxanonymoustls livecredentialenabled
    advertiseclientsettings servicediscoveryfqdn proxyenabled permissiongroupsstring barelinefeedrejectionenabled
    rejectreservedtoplevelrecipientdomains rejectreservedsecondlevelrecipientdomains rejectsinglelabelrecipientdomains
    acceptconsumermail
    """
)

FACTS_OF = {
    "SendConnector": FACTS | LOGIN | _SEND_FACTS,
    "ReceiveConnector": FACTS | LOGIN | _RECEIVE_FACTS,
    "AcceptedDomain": FACTS | LOGIN | _DOMAIN_FACTS,
    "TransportRule": FACTS | LOGIN | _RULE_FACTS,
}
FACTS_OF_OTHERS = FACTS | LOGIN


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a property that is set does to the import: LEFT_OUT with `whole`, the object is; LEFT_OUT, the property is; CHANGED, the object
    means something else here.
    """

    outcome: Outcome
    reason: str
    remedy: str
    whole: bool = False


def _left(reason: str, remedy: str) -> Consequence:
    return Consequence(Outcome.LEFT_OUT, reason, remedy)


def _whole(reason: str, remedy: str) -> Consequence:
    return Consequence(Outcome.LEFT_OUT, reason, remedy, whole=True)


def _changed(reason: str, remedy: str) -> Consequence:
    return Consequence(Outcome.CHANGED, reason, remedy)


_RESERVED = _left("Microsoft's page calls it reserved and does not say what it does", "Nothing is to be done")
_FORWARDED = _left(
    "a mailbox that forwards does not exist here: its mail stays in it",
    "Make it a MailUser with ExternalEmailAddress, or a DistributionGroup of both addresses with the mailbox under another one",
)
_ALLOWED = _left("who may write to a recipient is not restricted here", "Restrict it where the mailbox is, or leave the recipient out")

_INBOUND = {
    "trustedorganizations": _whole(
        "with TrustedOrganizations Exchange ignores the connector's other settings; there are no other tenants here",
        "Describe the other organization's servers by address or certificate in a connector of their own",
    ),
    "efusers": _changed(
        "enhanced filtering is for all recipients here, not for EFUsers alone", "Leave EFSkipIPs out where that is too much"
    ),
    "eftestmode": _changed(
        "EFTestMode does not exist: enhanced filtering is in force here", "Remove EFSkipIPs and EFSkipLastIP until then"
    ),
    "efskipmailgateway": _RESERVED,
    "scananddroprecipients": _RESERVED,
    "clienthostnames": _RESERVED,
    "associatedaccepteddomains": _changed(
        "Microsoft's pages disagree about it; here it narrows which accepted domains prove the organization (OnPremises), or which "
        "recipients the restriction is for (Partner)",
        "Check it with `mailwye explain`",
    ),
}

_DOMAIN = {
    "catchallrecipientid": _left(
        "an address for everybody of a domain (catch-all) does not exist here",
        "List the addresses, or make the domain InternalRelay with a connector to the server that has them",
    ),
    "outboundonly": _whole("with OutboundOnly it takes no mail", "Add it by hand if mail for it should be taken"),
    "sendingfromdomaindisabled": _left("sending from a domain cannot be switched off here", "Restrict SenderDomains of the connectors"),
    "sendingtodomaindisabled": _whole("no mail is sent to it", "Add it by hand if mail for it should be taken"),
}

_MAILBOX = {
    "forwardingaddress": _FORWARDED,
    "forwardingsmtpaddress": _FORWARDED,
    "acceptmessagesonlyfrom": _ALLOWED,
    "acceptmessagesonlyfromsendersormembers": _ALLOWED,
    "rejectmessagesfromsendersormembers": _ALLOWED,
    "requiresenderauthenticationenabled": _changed(
        "everybody may write to it here, not only the organization's own people", "Restrict it where the mailbox is"
    ),
    "moderationenabled": _left("messages are not held for a moderator", "Moderate where the mailbox is, or leave the recipient out"),
}

_MUTUAL = _left(
    "DomainSecureEnabled (mutual TLS with the domains of the transport settings) does not exist here",
    "Where a partner must prove itself, add an InboundConnector of type Partner with RestrictDomainsToCertificate, and TlsAuthLevel "
    "DomainValidation with TlsDomain on the way out",
)
_SEND = {
    "ignorestarttls": _changed("TLS is used wherever it is offered", "Check that the other side's TLS works"),
    "isscopedconnector": _changed("there is one site: it serves all mail of this installation", "Leave it out where it should not"),
    "linkedreceiveconnector": _whole("it only takes mail of its LinkedReceiveConnector", "Use AddressSpaces, or a mail flow rule"),
    "useexternaldnsserversenabled": _left("name servers are the same for all", "Set nameservers in [dns] of mailwye.toml"),
    "sourceipaddress": _left("the own address is the same for all", "Set source_address in [delivery] of mailwye.toml"),
    "domainsecureenabled": _MUTUAL,
}
_RECEIVE = {
    "domainsecureenabled": _MUTUAL,
    "messageratelimit": _left("messages are not counted per minute", "Set MaxInboundConnectionPerSource"),
    "defaultdomain": _left("addresses without a domain are refused", "Let the senders write whole addresses"),
}
NOTHING_SAID = {"sourceipaddress": "0.0.0.0", "messageratelimit": "unlimited"}
"""Values in lower case that stand for nothing set."""

CONSEQUENCES: dict[str, dict[str, Consequence]] = {
    "SendConnector": _SEND,
    "ReceiveConnector": _RECEIVE,
    "InboundConnector": _INBOUND,
    "AcceptedDomain": _DOMAIN,
    "Mailbox": _MAILBOX,
    "MailUser": _MAILBOX,
    "MailContact": _MAILBOX,
    "DistributionGroup": _MAILBOX,
}

RULE_NEUTRAL: dict[str, Consequence] = {
    "setauditseverity": _left("there is no audit log with severities; `mailwye trace` tells what a rule did", "Nothing is to be done"),
    "activationdate": _whole("a rule here is in force from the moment when it is saved, not from ActivationDate", "Add it when it is time"),
    "expirydate": _whole("a rule here does not end by itself at ExpiryDate", "Add it by hand, and remove it when it is time"),
}

# Kinds of Exchange that have no counterpart; the remedy says what stands in for them.
NO_KIND = {
    "object": (
        "none of its properties tells what it is",
        "Name the kind: `@{InboundConnector = @(Get-InboundConnector)} | ConvertTo-Json -Depth 5`",
    ),
    "RemoteDomain": ("remote domains are about formats and automatic replies, which Mailwye does not touch", "Nothing is to be done"),
    "DynamicDistributionGroup": ("its members are found by a query", "Write a DistributionGroup with Members"),
    "GroupMailbox": ("a Microsoft 365 group keeps its mail in the service", "Write a MailUser, or a DistributionGroup with Members"),
    "PublicFolder": ("public folders do not exist here", "Write a MailUser for its address"),
}
