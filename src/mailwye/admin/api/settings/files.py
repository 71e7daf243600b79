"""/apply, /export and /import: the settings as files, ours and those of other mail systems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from mailwye.access.roles import Permission
from mailwye.admin.api.answers import Done
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import Body, Precondition, precondition
from mailwye.admin.api.settings.chosen import OfDraft, OfVersion, chosen, expect_one
from mailwye.admin.api.settings.saving import Saved, SavedInDraft, save, save_into_draft
from mailwye.admin.api.settings.wishes import Wish, WishedMaybeInDraft
from mailwye.cmdlets.write import write as to_cmdlets
from mailwye.config.export import objects_to_yaml, to_json, to_yaml
from mailwye.config.parse import read_organization
from mailwye.config.parsed import Parsed
from mailwye.config.plan import Plan, changes_of_file, plan_edit, plan_file
from mailwye.config.schema import Organization
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import Conflict
from mailwye.importing.collect import Imported
from mailwye.importing.dsc.files import import_dsc
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.exchange.write import to_exchange_json
from mailwye.importing.postfix.files import import_postfix, wanted_files
from mailwye.importing.report import Entry, EntryRow, as_dicts, is_complete
from mailwye.importing.source import ImportRefused, Source, decode
from mailwye.runtime.printable import escaped

TEXT_LIMIT = 8_388_608  # characters of a file
FILES_LIMIT = 100
TABLES_LIMIT = 1_000

FileText = Annotated[str, Field(max_length=TEXT_LIMIT)]
_Prune = Annotated[bool, Field(description="Remove objects of the kinds in it that it does not name.")]
_FileName = Annotated[str, Field(max_length=256)]


class File(Body):
    """A whole file of ours."""

    text: FileText
    prune: _Prune = False


class ForeignFile(Body):
    """`name`: as findings call it."""

    name: _FileName = ""
    text: FileText


class ForeignFiles(Body):
    """Files of another mail system."""

    files: Annotated[tuple[ForeignFile, ...], Field(min_length=1, max_length=FILES_LIMIT)]
    prune: _Prune = False


class DscFiles(ForeignFiles):
    """Microsoft365DSC. `variables`: what $NAME is in them."""

    variables: Annotated[dict[_FileName, Annotated[str, Field(max_length=4096)]], Field(max_length=FILES_LIMIT, default_factory=dict)]


class PostfixFiles(Body):
    """`main_cf`: main.cf, or the output of `postconf -n`. `tables`: the path of each table that it names → its text."""

    main_cf: FileText
    master_cf: FileText = ""
    tables: Annotated[dict[Annotated[str, Field(max_length=4096)], FileText], Field(max_length=TABLES_LIMIT, default_factory=dict)]
    prune: _Prune = False


class Form(Enum):
    """Of an export. `exchange`: JSON as Exchange's cmdlets print it. `cmdlets`: PowerShell lines."""

    YAML = "yaml"
    JSON = "json"
    EXCHANGE = "exchange"
    CMDLETS = "cmdlets"


_Form = Annotated[Form, Query(alias="format")]
_WRITERS: dict[Form, Callable[[Organization], str]] = {
    Form.YAML: to_yaml,
    Form.JSON: to_json,
    Form.EXCHANGE: to_exchange_json,
    Form.CMDLETS: to_cmdlets,
}
_ETAG = {"schema": {"type": "string"}, "required": True, "description": "The version of the settings, or the revision of the draft."}
_TEXTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object"}}},
        "headers": {"ETag": _ETAG},
    }
}


class CarriedOver(TypedDict):
    """What an import found. `complete`: all of it was carried over and means the same here. `file`: for `/apply`."""

    report: list[EntryRow]
    complete: bool
    file: str


class ImportedAtOnce(Saved, CarriedOver):
    """What an import did."""


class ImportedIntoDraft(SavedInDraft, CarriedOver):
    """What an import did to a draft."""


def files() -> APIRouter:
    """The routes."""
    api = router("files")

    @api.get("/export", summary="The settings as a file", response_class=PlainTextResponse, responses=_TEXTS)
    async def export(context: Ctx, form: _Form = Form.YAML, version: OfVersion = None, draft: OfDraft = "") -> Response:
        context.caller.need(Permission.RECIPIENTS_READ, "this")
        expect_one(version, draft)
        stored, tag = await context.services.with_settings(chosen, context, version, draft)
        text = await asyncio.to_thread(_WRITERS[form], stored.organization)
        media = "application/json" if form in (Form.JSON, Form.EXCHANGE) else "text/plain"
        return Response(text, media_type=media, headers={"ETag": tag})

    @api.post("/apply", summary="Save the objects of a file")
    async def apply(context: Ctx, file: File, wish: WishedMaybeInDraft) -> Done[Saved | SavedInDraft]:
        condition = precondition(context.request, draft=bool(wish.draft))
        parsed = await asyncio.to_thread(read_organization, file.text, "request")
        return await _save(context, condition, parsed, wish, prune=file.prune)

    _importing(api)
    return api


def _importing(api: APIRouter) -> None:
    @api.post("/import/exchange", summary="Carry over objects that Exchange's cmdlets printed as JSON")
    async def exchange(context: Ctx, body: ForeignFiles, wish: WishedMaybeInDraft) -> Done[ImportedAtOnce | ImportedIntoDraft]:
        return await _import(context, lambda: import_exchange(_sources(body)), wish, prune=body.prune)

    @api.post("/import/dsc", summary="Carry over blocks of Microsoft365DSC")
    async def dsc(context: Ctx, body: DscFiles, wish: WishedMaybeInDraft) -> Done[ImportedAtOnce | ImportedIntoDraft]:
        return await _import(context, lambda: import_dsc(_sources(body), body.variables), wish, prune=body.prune)

    @api.post("/import/postfix", summary="Carry over main.cf, master.cf and the tables that they name")
    async def postfix(context: Ctx, body: PostfixFiles, wish: WishedMaybeInDraft) -> Done[ImportedAtOnce | ImportedIntoDraft]:
        return await _import(context, lambda: _postfix(body), wish, prune=body.prune)


def _sources(body: ForeignFiles) -> list[Source]:
    return [_source(one.text, one.name or f"file {number}") for number, one in enumerate(body.files, 1)]


def _source(text: str, name: str) -> Source:
    """:raises ImportRefused: it is no text."""
    return decode(text.encode(), escaped(name))


def _escaped(entry: Entry) -> Entry:
    return replace(entry, what=escaped(entry.what), reason=escaped(entry.reason), remedy=escaped(entry.remedy), file=escaped(entry.file))


def _postfix(body: PostfixFiles) -> Imported:
    main = _source(body.main_cf, "main.cf")
    tables: dict[str, Source | str] = {}
    for path in wanted_files(main):
        tables[path] = _source(body.tables[path], path) if path in body.tables else "is not among the tables of the request"
    return import_postfix(main, tables, master=_source(body.master_cf, "master.cf") if body.master_cf else None)


async def _import(context: Context, read: Callable[[], Imported], wish: Wish, *, prune: bool) -> Done[Any]:
    """As `mailwye import` and `mailwye apply` one after the other; what could not be carried over is in `report`. A dry run asks for no
    condition: nothing is changed, and the file may be wanted for later.
    """
    asks = not wish.dry_run or "if-match" in context.request.headers
    condition = precondition(context.request, draft=bool(wish.draft)) if asks else Precondition(None, None)

    def carry_over() -> tuple[CarriedOver, Parsed[Organization]]:
        imported = read()
        text, entries = objects_to_yaml(imported.organization), as_dicts(_escaped(one) for one in imported.entries)
        return {"report": entries, "complete": is_complete(imported.entries), "file": text}, read_organization(text, "import")

    try:
        more, parsed = await asyncio.to_thread(carry_over)
    except ImportRefused as error:
        raise ApiError(422, "it cannot be read, and nothing was carried over: see the problems", [error.problem]) from error
    return await _save(context, condition, parsed, wish, prune=prune, **more)


async def _save(
    context: Context, condition: Precondition, parsed: Parsed[Organization], wish: Wish, *, prune: bool, **more: Any
) -> Done[Any]:
    """`more`: for the answer."""
    if parsed.value is None:
        raise ApiError(422, "nothing was saved: see the problems", parsed.problems)
    if wish.draft:
        make = partial(changes_of_file, file=parsed, prune=prune, vault=context.services.vault)
        return await save_into_draft(context, condition.base, make, wish, **more)
    return await save(context, lambda: _plan_file(context, condition.base, parsed, prune=prune), wish, **more)


def _plan_file(context: Context, base: int | None, parsed: Parsed[Organization], *, prune: bool) -> tuple[Plan | Conflict, ChangeSet]:
    """As `mailwye apply --base`."""
    services = context.services
    current = services.store.version()
    number = current if base is None else base
    if number > current:
        raise ApiError(412, f"there is no version {number} yet")
    plan = plan_file(services.store.load(number), parsed, prune=prune, **services.planning)
    if plan.has_errors or number == current:
        return plan, plan.change_set
    return plan_edit(services.store, number, plan.change_set, source=parsed, **services.planning), plan.change_set
