"""What can go wrong in the protocol, and whose fault it is.

    ProtocolError
    ├── LocalProtocolError     our driver misused a connection: a defect of this program, never caused by what the peer sends
    └── RemoteProtocolError    the peer broke the protocol in a way that no reply can mend; the connection is useless now
        └── ProxyError         a PROXY protocol header is missing or malformed (proxy.py)

Faults that a reply mends (bad syntax, bad sequence) raise nothing: the machine answers them and reports `CommandRefused`.
`AddressError` (address.py) and `CommandError` (command.py) are ValueErrors about one piece of text; they carry the reply for it.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of both; catch the narrow ones."""


class LocalProtocolError(ProtocolError):
    """A method was called in a state that does not allow it. A bug in the caller."""


class RemoteProtocolError(ProtocolError):
    """The peer's octets are no SMTP (R8), or pass a limit. Drop the connection; never bounce a message because of it."""
