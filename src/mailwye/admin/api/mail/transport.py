"""/tls-reports and /dns-records: what other domains' servers met us with, and what our zones should say."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Annotated, TypedDict

from fastapi import APIRouter, Query

from mailwye.admin.api.answers import Answer, Page
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError, not_found
from mailwye.admin.api.reading import Cursor, Limit
from mailwye.directory.mta_sts import dns_records, policy_text
from mailwye.smtp.address import AddressError, parse_domain
from mailwye.transport.tls_report import Submitter, TlsReport, day_of, report, start_of

Domain = Annotated[str, Query(max_length=255, description="Only this domain.")]
Day = Annotated[str, Query(max_length=10, description="The UTC day, as 2026-11-28; today otherwise.")]


class Reports(Page[TlsReport]):
    """The reports of one UTC day."""

    date: str


class DnsRecords(TypedDict):
    """What a domain's zone has to say, and the text of its MTA-STS policy (RFC 8461)."""

    domain: str
    policy: str
    records: list[str]


def transport() -> APIRouter:
    """The routes."""
    api = router("transport security")

    @api.get("/tls-reports", summary="TLS reports of one day (RFC 8460), one for each domain, sent or not")
    async def reports(context: Ctx, date: Day = "", domain: Domain = "", limit: Limit = 100, cursor: Cursor = "") -> Answer[Reports]:
        day = date or day_of(context.services.clock.now())
        if not _is_day(day):
            raise ApiError(422, "date is no day; write it as 2026-11-28")
        return Answer(await asyncio.to_thread(_reports, context, day, domain.lower(), limit, context.position(cursor) or ""))

    @api.get("/dns-records", summary="What the zones of accepted domains have to say for their MTA-STS policies")
    async def records(context: Ctx, domain: Domain = "") -> Answer[Page[DnsRecords]]:
        organization = (await context.services.with_settings(context.services.store.current)).organization
        hostname = context.services.installation.hostname
        domains = organization.accepted_domains
        if domain:
            wanted = _canonical(domain)
            domains = tuple(one for one in domains if one.domain_name == wanted)
            if not domains:
                raise not_found(f"accepted domain {domain}")
        policies = [(one, policy_text(one, hostname)) for one in domains]
        items: list[DnsRecords] = [
            {"domain": one.domain_name, "policy": text, "records": list(dns_records(one, hostname))}
            for one, text in policies
            if text is not None
        ]
        return Answer({"items": items, "next": None})

    return api


def _is_day(text: str) -> bool:
    try:
        return day_of(start_of(text)) == text
    except ValueError:
        return False


def _canonical(domain: str) -> str:
    try:
        return parse_domain(domain)
    except AddressError as error:
        raise ApiError(422, str(error)) from error


def _reports(context: Context, day: str, domain: str, limit: int, after: str) -> Reports:
    installation = context.services.installation
    submitter = Submitter(installation.hostname, installation.transport.tls_report_contact, installation.hostname)
    with closing(context.services.tls_results()) as store:
        found = [one for one in sorted(store.domains(day)) if one > after and domain in ("", one)][: limit + 1]
        page = context.page(found, limit, lambda: found[limit - 1])
        items = [report(day, one, store.results(day, one), submitter) for one in page["items"]]
        return {"items": items, "next": page["next"], "date": day}
