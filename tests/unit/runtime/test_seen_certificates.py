from __future__ import annotations

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.seen_certificates import SEEN_LIMIT, SeenCertificates
from mailwye.runtime.tls_certificates import PresentedCertificate


def certificate(name: str, fingerprint: str = "aa") -> PresentedCertificate:
    return PresentedCertificate(f"CN={name}", "CN=authority", (name,), 0.0, 1.0, fingerprint, trusted=True, trust_reason="")


def test_the_last_one_of_each_connector_and_name_is_kept_until_it_is_taken() -> None:
    seen = SeenCertificates(SystemClock())
    seen.see("A", certificate("mail.contoso.com", "old"))
    seen.see("A", certificate("mail2.contoso.com"))
    seen.see("B", certificate("mail.contoso.com"))
    seen.see("A", certificate("mail.contoso.com", "new"))
    assert [(one.use, one.certificate.names[0], one.certificate.fingerprint) for one in seen.take()] == [
        ("A", "mail2.contoso.com", "aa"),
        ("B", "mail.contoso.com", "aa"),
        ("A", "mail.contoso.com", "new"),
    ]
    assert seen.take() == ()


def test_it_is_bounded() -> None:
    seen = SeenCertificates(SystemClock())
    for number in range(SEEN_LIMIT + 2):
        seen.see("A", certificate(f"{number}.example"))
    names = [one.certificate.names[0] for one in seen.take()]
    assert len(names) == SEEN_LIMIT
    assert names[0] == "2.example"
