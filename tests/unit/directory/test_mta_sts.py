from __future__ import annotations

import re

import pytest

from mailwye.directory.model import AcceptedDomain, MtaStsMode
from mailwye.directory.mta_sts import dns_records, policy_id, policy_text

HOST = "mx.mailwye.example"


def test_the_policy_is_as_rfc_8461_writes_it() -> None:
    domain = AcceptedDomain("contoso.com", mta_sts_mode=MtaStsMode.ENFORCE)
    assert policy_text(domain, HOST) == "version: STSv1\r\nmode: enforce\r\nmx: mx.mailwye.example\r\nmax_age: 604800\r\n"
    several = AcceptedDomain(
        "contoso.com", mta_sts_mode=MtaStsMode.TESTING, mta_sts_mx_hosts=("mx.contoso.com", "*.backup.example"), mta_sts_max_age=86_400
    )
    assert policy_text(several, HOST) == (
        "version: STSv1\r\nmode: testing\r\nmx: mx.contoso.com\r\nmx: *.backup.example\r\nmax_age: 86400\r\n"
    )


def test_without_a_mode_there_is_no_policy_and_none_is_a_policy() -> None:
    assert policy_text(AcceptedDomain("contoso.com"), HOST) is None
    assert dns_records(AcceptedDomain("contoso.com"), HOST) == ()
    withdrawn = policy_text(AcceptedDomain("contoso.com", mta_sts_mode=MtaStsMode.NONE), HOST)
    assert withdrawn is not None
    assert "mode: none" in withdrawn


@pytest.mark.parametrize("mode", list(MtaStsMode))
def test_records_name_the_policy_by_an_id_that_changes_with_it(mode: MtaStsMode) -> None:
    domain = AcceptedDomain("contoso.com", mta_sts_mode=mode)
    text = policy_text(domain, HOST)
    assert text is not None
    assert re.fullmatch(r"[A-Za-z0-9]{1,32}", policy_id(text))  # RFC 8461 section 3.1
    assert dns_records(domain, HOST) == (
        f'_mta-sts.contoso.com. IN TXT "v=STSv1; id={policy_id(text)};"',
        "mta-sts.contoso.com. IN CNAME mx.mailwye.example.",
    )


def test_each_policy_has_its_own_id() -> None:
    policies = [AcceptedDomain("a.com", mta_sts_mode=mode, mta_sts_max_age=age) for mode in MtaStsMode for age in (86_400, 86_401)]
    assert len({policy_id(policy_text(policy, HOST) or "") for policy in policies}) == 6
