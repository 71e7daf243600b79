"""Accepted domains and recipients."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.installation import Installation
from mailwye.config.schema import MailContact, MailUser, Organization, Recipient
from mailwye.directory.lookup import Directory
from mailwye.directory.model import DomainType
from mailwye.smtp.address import Address


def check_domains(organization: Organization, installation: Installation | None, findings: Findings) -> None:
    """MatchSubDomains needs InternalRelay, one domain at most is the default; a published policy needs somebody who serves it."""
    default = ""
    for domain in organization.accepted_domains:
        if domain.match_sub_domains and domain.domain_type is not DomainType.INTERNAL_RELAY:
            findings.error(
                domain,
                "MatchSubDomains",
                "needs DomainType InternalRelay: the recipients of all subdomains cannot be known here",
                "Set DomainType InternalRelay, or add the subdomains as accepted domains",
            )
        if domain.default and default:
            findings.error(domain, "Default", f"{default} is the default domain already", "Set Default true for one domain only")
        if domain.default:
            default = default or domain.domain_name
        if domain.mta_sts_mode is not None and installation is not None and all(one.kind != "https" for one in installation.listeners):
            findings.warning(
                domain,
                "MtaStsMode",
                "no listener of mailwye.toml serves the policy",
                "Add a listener of kind https, or serve it by a web server of your own",
            )


def check_recipients(organization: Organization, directory: Directory, findings: Findings) -> None:
    """Every address belongs to one recipient and to an accepted domain; external addresses lead somewhere."""
    owners: dict[str, Recipient] = {recipient.primary_smtp_address.key: recipient for recipient in organization.recipients()}
    for recipient in organization.recipients():
        _check_domain(recipient, directory, findings)
        for address in recipient.email_addresses:
            _check_alias(recipient, address, owners, directory, findings)
        if isinstance(recipient, MailUser | MailContact):
            _check_external(recipient, directory, findings)


def _check_domain(recipient: Recipient, directory: Directory, findings: Findings) -> None:
    domain = recipient.primary_smtp_address.domain
    if isinstance(recipient, MailContact) or directory.accepted_domain(domain) is not None:
        return
    findings.error(
        recipient,
        "PrimarySmtpAddress",
        f"{domain} is not an accepted domain, so no mail for this address is taken",
        f"Add AcceptedDomain {domain}, or make it a MailContact if it is somebody outside",
    )


def _check_alias(recipient: Recipient, address: Address, owners: dict[str, Recipient], directory: Directory, findings: Findings) -> None:
    owner = owners.setdefault(address.key, recipient)
    if owner is not recipient:
        findings.error(recipient, "EmailAddresses", f"{address} belongs to {owner.label}", "Remove it from one of them")
    if directory.accepted_domain(address.domain) is None and not isinstance(recipient, MailContact):
        findings.warning(
            recipient,
            "EmailAddresses",
            f"{address.domain} is not an accepted domain, so no mail for {address} is taken",
            f"Add AcceptedDomain {address.domain}, or remove the address",
        )


def _check_external(recipient: MailUser | MailContact, directory: Directory, findings: Findings) -> None:
    target = recipient.external_email_address
    if target is None or directory.accepted_domain(target.domain) is None:
        return
    located = directory.locate(recipient.primary_smtp_address if _is_accepted(recipient, directory) else target)
    if located.kind == "Loop":
        findings.error(recipient, "ExternalEmailAddress", located.reasons[-1], "Let it name the address where the mailbox really is")


def _is_accepted(recipient: Recipient, directory: Directory) -> bool:
    return directory.accepted_domain(recipient.primary_smtp_address.domain) is not None
