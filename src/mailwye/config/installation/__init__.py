"""The installation: mailwye.toml, its values and how it is read."""

from __future__ import annotations

from mailwye.config.installation.settings import (
    DEFAULT_WORKERS,
    KINDS_OF_IMPLICIT_TLS,
    KINDS_WITHOUT_TLS,
    DeliverySettings,
    DnsSettings,
    InboundLimits,
    Installation,
    ListenerSettings,
    OidcSettings,
    QueueSettings,
    ReplaySettings,
    SecretsSettings,
    TlsFileSettings,
    TraceSettings,
    TransportSettings,
)

__all__ = [
    "DEFAULT_WORKERS",
    "KINDS_OF_IMPLICIT_TLS",
    "KINDS_WITHOUT_TLS",
    "DeliverySettings",
    "DnsSettings",
    "InboundLimits",
    "Installation",
    "ListenerSettings",
    "OidcSettings",
    "QueueSettings",
    "ReplaySettings",
    "SecretsSettings",
    "TlsFileSettings",
    "TraceSettings",
    "TransportSettings",
]
