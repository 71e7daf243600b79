"""Mail to a sender's address that was rewritten here (message/sender_rewriting.py): a bounce on its way back. Pure."""

from __future__ import annotations

from mailwye.directory.lookup import Directory, Resolution
from mailwye.message.sender_rewriting import Unwrapped, Validity
from mailwye.smtp.address import Address

KIND = "RewrittenSender"


def resolve_returned(directory: Directory, resolution: Resolution, sender: Address | None, unwrapped: Unwrapped) -> Resolution:
    """What an address that no recipient bears is, where it has the form of a rewritten sender.

    Only what is signed leads anywhere, and only for the null sender: that is the one of bounces, which nobody needs to relay spam. Where
    the own servers may know the address (InternalRelay, kind "Relayed") what we did not sign is left to them.
    """
    address = resolution.address
    match unwrapped.validity:
        case Validity.FORGED if resolution.kind == "Relayed":
            return resolution
        case Validity.FORGED:
            return _refused(resolution, "5.7.1", f"{address} is no sender that was rewritten here: its signature is wrong")
        case Validity.EXPIRED:
            return _refused(resolution, "5.1.1", f"{address} has expired: bounces for it are no longer taken")
    if sender is not None:
        return _refused(resolution, "5.7.1", f"{address} takes bounces only, from the null sender")
    assert unwrapped.address is not None, "what is valid has an address"
    inner = directory.resolve(unwrapped.address)
    reasons = (f"{address} is the sender {unwrapped.address}, rewritten and signed here (SRS): the bounce goes to him", *inner.reasons)
    kind = KIND if inner.recipients else inner.kind
    return Resolution(address, kind, resolution.accepted_domain, inner.recipients, reasons, inner.failure_enhanced, inner.failure)


def _refused(resolution: Resolution, enhanced: str, failure: str) -> Resolution:
    return Resolution(resolution.address, KIND, resolution.accepted_domain, (), (*resolution.reasons, failure), enhanced, failure)
