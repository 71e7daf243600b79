"""What each route asks for: the table. A route that is not in it is closed to everybody."""

from __future__ import annotations

from mailwye.access.roles import Permission, to_read, to_write
from mailwye.config.schema import KINDS

_P = Permission


def path_of(kind: str) -> str:
    """`OutboundConnector` → `outbound-connectors`."""
    return KINDS[kind].attribute.replace("_", "-")


def _objects() -> dict[str, frozenset[Permission]]:
    table: dict[str, frozenset[Permission]] = {}
    for kind in KINDS:
        path = f"/objects/{path_of(kind)}"
        table[f"GET {path}"] = table[f"GET {path}/{{identity}}"] = frozenset({to_read(kind)})
        for method in ("PUT", "PATCH", "DELETE"):
            table[f"{method} {path}/{{identity}}"] = frozenset({to_write(kind)})
    return table


_WRITERS = frozenset({_P.SETTINGS_WRITE, _P.RECIPIENTS_WRITE, _P.RULES_WRITE})  # one of them; each changed object asks for its own
_READ = frozenset({_P.SETTINGS_READ})

ROUTES: dict[str, frozenset[Permission]] = {
    **_objects(),
    "GET /objects/organization": _READ,
    "PUT /objects/organization": frozenset({_P.SETTINGS_WRITE}),
    "PATCH /objects/organization": frozenset({_P.SETTINGS_WRITE}),
    "GET /versions": _READ,
    "GET /versions/{version}": _READ,
    "GET /versions/{version}/difference": _READ,
    "GET /export": _READ,
    "POST /versions/rollback": _WRITERS,
    "POST /versions/{version}/activate": _WRITERS,
    "POST /apply": _WRITERS,
    "POST /import/exchange": _WRITERS,
    "POST /import/dsc": _WRITERS,
    "POST /import/postfix": _WRITERS,
    "POST /cmdlets": _READ,  # each change asks for more
    "GET /drafts": _READ,
    "POST /drafts": _WRITERS,
    "GET /drafts/{name}": _READ,
    "DELETE /drafts/{name}": _WRITERS,
    "POST /drafts/{name}/activate": _WRITERS,
    "POST /explain": frozenset({_P.EXPLAIN}),
    "POST /explain/session": frozenset({_P.EXPLAIN}),
    "POST /replay": _READ,
    "GET /queue": frozenset({_P.QUEUE_READ}),
    "GET /queue/counts": frozenset({_P.QUEUE_READ}),
    "POST /queue/fsck": frozenset({_P.QUEUE_WRITE}),
    "GET /queue/corrupt": frozenset({_P.QUEUE_READ}),
    "DELETE /queue/corrupt": frozenset({_P.QUEUE_WRITE}),
    "GET /queue/corrupt/{message_id}": frozenset({_P.CONTENT_READ}),
    "DELETE /queue/corrupt/{message_id}": frozenset({_P.QUEUE_WRITE}),
    "GET /queue/{message_id}": frozenset({_P.CONTENT_READ}),
    "POST /queue/{operation}": frozenset({_P.QUEUE_WRITE}),
    "GET /trace": frozenset({_P.TRACE_READ}),
    "GET /trace/{trace_id}": frozenset({_P.TRACE_READ}),
    "GET /tls-reports": frozenset({_P.TRACE_READ}),
    "GET /dns-records": _READ,
    "GET /secrets": _READ,
    "PUT /secrets/{connector}": frozenset({_P.SETTINGS_WRITE}),
    "DELETE /secrets/{connector}": frozenset({_P.SETTINGS_WRITE}),
    "POST /secrets/rotation": frozenset({_P.SETTINGS_WRITE}),
    "GET /mailboxes": frozenset({_P.RECIPIENTS_READ}),
    "POST /mailboxes": frozenset({_P.RECIPIENTS_WRITE}),
    "DELETE /mailboxes/{address}": frozenset({_P.RECIPIENTS_WRITE}),
    "PUT /mailboxes/{address}/password": frozenset({_P.PASSWORDS_WRITE}),
    "DELETE /mailboxes/{address}/password": frozenset({_P.PASSWORDS_WRITE}),
    "GET /check": _READ,
    "POST /check": _READ,
    "GET /certificates": frozenset({_P.STATUS_READ}),
    "GET /status": frozenset({_P.STATUS_READ}),
    "POST /reload": frozenset({_P.SETTINGS_WRITE}),
    "GET /events": frozenset({_P.STATUS_READ}),
    "GET /me": frozenset({_P.OWN}),
    "GET /tokens": frozenset({_P.OWN}),
    "POST /tokens": frozenset({_P.OWN}),
    "DELETE /tokens/{token_id}": frozenset({_P.OWN}),
    "GET /users": frozenset({_P.ACCOUNTS_WRITE}),
    "POST /users": frozenset({_P.ACCOUNTS_WRITE}),
    "PUT /users/{name}/roles": frozenset({_P.ACCOUNTS_WRITE}),
    "PUT /users/{name}/password": frozenset({_P.ACCOUNTS_WRITE}),
    "POST /users/{name}/totp": frozenset({_P.ACCOUNTS_WRITE}),
    "PUT /users/{name}/totp": frozenset({_P.ACCOUNTS_WRITE}),
    "DELETE /users/{name}/totp": frozenset({_P.ACCOUNTS_WRITE}),
    "DELETE /users/{name}": frozenset({_P.ACCOUNTS_WRITE}),
    "GET /audit": frozenset({_P.AUDIT_READ}),
    "GET /audit/verification": frozenset({_P.AUDIT_READ}),
    "GET /openapi.json": frozenset({_P.OWN}),
}
"""Method and path below /api/v1 → permissions, one of which is enough."""
