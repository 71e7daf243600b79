"""Microsoft365DSC blocks → objects of an organization."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailwye.config.problem import shown
from mailwye.importing.collect import Collector, Imported, Place
from mailwye.importing.dsc.reader import Block, Unknown, read_blocks
from mailwye.importing.exchange.carry import Found, carry
from mailwye.importing.exchange.properties import FACTS_OF
from mailwye.importing.source import Source

_RESOURCES = {
    "exoaccepteddomain": "AcceptedDomain",
    "exoinboundconnector": "InboundConnector",
    "exooutboundconnector": "OutboundConnector",
    "exotransportrule": "TransportRule",
    "exosharedmailbox": "Mailbox",
    "exomailcontact": "MailContact",
    "exodistributiongroup": "DistributionGroup",
}


def import_dsc(sources: Iterable[Source], variables: Mapping[str, str] | None = None) -> Imported:
    """Blocks of the resources that Mailwye has objects for, in any number of files. `variables`: values for names such as
    OrganizationName that the files leave to PowerShell.

    :raises ImportRefused: a file is no PowerShell; nothing is taken then.
    """
    collector = Collector()
    rules: list[tuple[Source, Block]] = []
    for source in sources:
        others: dict[str, int] = {}
        blocks = list(read_blocks(source, variables))
        for block in blocks:
            kind = _RESOURCES.get(block.resource.lower())
            if kind == "TransportRule":
                rules.append((source, block))  # after the connectors that they name
            elif kind is not None:
                _take(block, kind, source, collector)
            elif block.resource[:3].upper() == "EXO":
                _leave_out(block, source, collector)
            else:
                others[block.resource] = others.get(block.resource, 0) + 1
        if not blocks:
            remedy = "Give what Export-M365DSCConfiguration writes"
            collector.left_out("the file", "it holds no block of a resource", remedy, Place(source.name))
        if others:
            listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(others.items()))
            collector.left_out(f"blocks of {listed}", "they do not concern mail flow", "Nothing is to be done", Place(source.name))
    for source, block in rules:
        _take(block, "TransportRule", source, collector)
    return collector.imported()


def _take(block: Block, kind: str, source: Source, collector: Collector) -> None:
    found = _found(block, kind, source)
    facts = FACTS_OF[kind] - {"ensure", "identity"}
    if str(found.properties.get("ensure", "Present")).lower() == "absent":
        place = Place(source.name, block.lines["ensure"])
        collector.refuse(kind, found.name or block.title, 'Ensure = "Absent" says that it should not exist', "Nothing is to be done", place)
        return
    if block.within:
        reason = f'it stands within "{block.within}", and only PowerShell knows whether that counts'
        collector.refuse(kind, found.name or block.title, reason, "Move the block out of it", Place(source.name, block.line))
        return
    for key, value in block.properties.items():
        if isinstance(value, Unknown) and key not in facts:
            name = block.names[key]
            remedy = "Write the value into the file" + (f", or give `--variable {value.what[1:]}=…`" if _is_plain(value) else "")
            place = Place(source.name, block.lines[key])
            collector.refuse(kind, found.name or block.title, f"{name} is {value.what}, which only PowerShell knows", remedy, place)
            return
    found.properties = {key: value for key, value in found.properties.items() if not isinstance(value, Unknown)}
    carry(found, collector)


def _is_plain(value: Unknown) -> bool:
    return value.what.startswith("$") and value.what[1:].replace("_", "").isalnum()


def _found(block: Block, kind: str, source: Source) -> Found:
    properties = dict(block.properties)
    identity = properties.get("identity")
    if kind == "AcceptedDomain":
        properties.setdefault("domainname", identity)
    elif kind in ("InboundConnector", "OutboundConnector") and identity is not None:
        properties.setdefault("name", identity)
    return Found(kind, Place(source.name, block.line), properties, block.names, block.lines)


def _leave_out(block: Block, source: Source, collector: Collector) -> None:
    reason = "this resource has no counterpart here"
    collector.left_out(f"{block.resource} {shown(block.title)}", reason, "See whether you need it", Place(source.name, block.line))
