"""`mailwye get|new|set|remove|enable|disable KIND …`: one cmdlet each, with its parameters as options."""

from __future__ import annotations

import re
from typing import Any

import click

from mailwye.cli.candidate import GATE_OPTIONS, gate_options
from mailwye.cli.installation import config_option
from mailwye.cli.objects.change import Manner, carry_out
from mailwye.cli.objects.completion import complete_identity
from mailwye.cli.settings.saving import author_option
from mailwye.cmdlets.catalog import CONFIG_NOUN, Cmdlet, Parameter, Shape, catalog, nearest_beginning
from mailwye.cmdlets.syntax import Command, Literal, Many, Named, Node, Pipeline, Script, Source, Table
from mailwye.config.problem import did_you_mean

_OWN = frozenset({"Identity", "WhatIf", "Confirm"})  # as arguments and options of our own
_ADD, _REMOVE = "add", "remove"
_HELP = {
    "Get": "Show objects: a table of all, or everything about those named.",
    "New": "Make an object.",
    "Set": "Change an object: what is not named stays.",
    "Remove": "Remove objects.",
    "Enable": "Turn objects on.",
    "Disable": "Turn objects off.",
}


def _plain(word: str) -> str:
    """--smart-hosts, --SmartHosts and --smarthosts are one option."""
    return word.replace("-", "").replace("_", "").lower()


def kebab(name: str) -> str:
    """`SenderIPAddresses` → `sender-ip-addresses`."""
    name = name.replace("IPs", "Ips")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _truth(_ctx: click.Context, _param: click.Parameter, value: str | None) -> bool | None:
    if value is None:
        return None
    word = value.lower().lstrip("$")
    if word not in ("true", "false", "1", "0", "yes", "no"):
        raise click.BadParameter(f'must be true or false, not "{value}"')
    return word in ("true", "1", "yes")


def _no_password(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """What stands on a command line is in the shell's history and in the list of processes."""
    if value is not None:
        raise click.UsageError("a password does not belong on a command line: `mailwye secrets set CONNECTOR --user-name …` asks for it.")


class Verb(click.Group):
    """The kinds that have a cmdlet of this verb."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            name=verb.lower(),
            help=f"{_HELP[verb]} `mailwye {verb.lower()} KIND --help` lists what KIND has.",
            context_settings={"token_normalize_func": _plain},
        )
        self._kinds = {kebab(one.noun): one for one in catalog().values() if one.verb == verb and "Member" not in one.noun}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._kinds)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = _plain(cmd_name)
        if wanted == "organization":
            wanted = _plain(CONFIG_NOUN)
        found = next((kind for kind in self._kinds if _plain(kind) in (wanted, wanted.removesuffix("s"), wanted.removesuffix("es"))), None)
        return _command(found, self._kinds[found]) if found is not None else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            remedy = did_you_mean(args[0][:64], self._kinds, otherwise=f"Kinds: {', '.join(self._kinds)}")
            ctx.fail(f'there is no kind "{args[0]}". {remedy}')
        return super().resolve_command(ctx, args)


class _KindCommand(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            shown = [param for param in self.params if not getattr(param, "hidden", False)]
            known = [one[2:] for param in shown for one in param.opts if one.startswith("--")]
            word = error.option_name.lstrip("-")[:64]
            near = did_you_mean(word, known) or nearest_beginning(word, known)
            remedy = near.replace("mean ", "mean --") or "`--help` lists them"
            raise click.UsageError(f"there is no option {error.option_name}. {remedy}", ctx) from error


def _command(kind: str, cmdlet: Cmdlet) -> click.Command:
    options = {f"field_{number}": one for number, one in enumerate(_offered(cmdlet))}

    def run(**given: Any) -> None:
        _run(cmdlet, options, given)

    command = _KindCommand(kind, callback=run, help=f"{_HELP[cmdlet.verb]} As the cmdlet {cmdlet.name}.")
    command.params += [*_arguments(cmdlet), *(click_option for key, one in options.items() for click_option in _options(key, one, cmdlet))]
    command.params += _own_options(cmdlet)
    return config_option(gate_options(command) if cmdlet.is_change else command)


def _offered(cmdlet: Cmdlet) -> list[Parameter]:
    return [one for one in cmdlet.parameters.values() if one.name not in _OWN and one.shape is not Shape.SWITCH]


def _arguments(cmdlet: Cmdlet) -> list[click.Parameter]:
    if cmdlet.noun == CONFIG_NOUN:
        return []
    if cmdlet.verb == "New":
        return [click.Argument(["identity"], metavar="NAME", required=False)]
    required = cmdlet.verb != "Get"
    many = cmdlet.verb != "Set"
    metavar = "NAME" if required else "[NAME]"
    return [
        click.Argument(
            ["identity"],
            metavar=f"{metavar}..." if many else metavar,
            required=required,
            nargs=-1 if many else 1,
            shell_complete=complete_identity(cmdlet.kind),
        )
    ]


def _options(key: str, one: Parameter, cmdlet: Cmdlet) -> list[click.Option]:
    name = kebab(one.name)
    hidden = one.foreign is not None
    if one.shape is Shape.FLAG:
        return [click.Option([f"--{name}", key], callback=_truth, is_flag=False, flag_value="true", hidden=hidden, metavar="[true|false]")]
    if one.shape is Shape.CREDENTIAL:
        return [click.Option([f"--{name}", key], hidden=True, callback=_no_password)]
    metavar = "|".join(one.choices) or None
    if one.shape is not Shape.LIST:
        return [click.Option([f"--{name}", key], hidden=hidden, metavar=metavar or one.shape.name, shell_complete=_choices(one))]
    options = [click.Option([f"--{name}", key], multiple=True, metavar="A,B", help="The whole list; '' for none.")]
    if cmdlet.verb == "Set":
        options.append(click.Option([f"--add-{name}", f"{_ADD}_{key}"], multiple=True, metavar="A,B"))
        options.append(click.Option([f"--remove-{name}", f"{_REMOVE}_{key}"], multiple=True, metavar="A,B"))
    return options


def _choices(one: Parameter) -> Any:
    return lambda _ctx, _param, incomplete: [choice for choice in one.choices if choice.lower().startswith(incomplete.lower())]


def _own_options(cmdlet: Cmdlet) -> list[click.Parameter]:
    found: list[click.Parameter] = []
    if cmdlet.is_change:
        words = "Print the difference, save nothing; exits 2 where there is one."
        found.append(click.Option(["--what-if", "--dry-run", "what_if"], is_flag=True, help=words))
        found.append(author_option())
        found.append(click.Option(["--version-comment"], default="", help="Why; kept with the version."))
        if cmdlet.verb == "Remove":
            found.append(click.Option(["-y", "--yes"], is_flag=True, help="Remove without asking."))
    else:
        found.append(click.Option(["--fields"], default="", metavar="A,B", help="What is shown; * stands for any letters."))
    words = "Read and save this draft; mail keeps the current settings." if cmdlet.is_change else "What this draft would make of them."
    found.append(click.Option(["--draft"], default="", metavar="NAME", help=words))
    found.append(click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."))
    return found


def _run(cmdlet: Cmdlet, options: dict[str, Parameter], given: dict[str, Any]) -> None:
    elements: list[Named | Node] = []
    identity = given.get("identity")
    if identity:
        name = "Name" if cmdlet.verb == "New" else "Identity"
        elements.append(Named(name, value=_list(identity) if isinstance(identity, tuple) else Literal(identity)))
    for key, one in options.items():
        value = _value(one, given.get(key), given.get(f"{_ADD}_{key}"), given.get(f"{_REMOVE}_{key}"))
        if value is not None:
            elements.append(Named(one.name, value=value))
    stages: list[Command | Node] = [Command(cmdlet.name, tuple(elements))]
    if not cmdlet.is_change:
        stages += _format(given, is_named=bool(identity))
    manner = Manner(
        asks=cmdlet.verb == "Remove",
        yes=given.get("yes", False),
        what_if=given.get("what_if", False),
        as_json=given["as_json"],
        objects_only=not cmdlet.is_change,
        author=given.get("author", ""),
        comment=given.get("version_comment", ""),
        draft=given["draft"],
        gating={name: given[name] for name in GATE_OPTIONS} if cmdlet.is_change else {},
    )
    carry_out(given["config"], Script(Source(""), (Pipeline(tuple(stages)),)), manner)


def _format(given: dict[str, Any], *, is_named: bool) -> list[Command | Node]:
    fields = [one.strip() for one in given["fields"].split(",") if one.strip()]
    columns: tuple[Named | Node, ...] = (Named("Property", value=_list(fields)),) if fields else ()
    if given["as_json"]:
        return [*([Command("Select-Object", columns)] if columns else []), Command("ConvertTo-Json", ())]
    if is_named or columns:
        return [Command("Format-List" if is_named else "Format-Table", columns)]
    return []


def _value(one: Parameter, whole: Any, added: Any, removed: Any) -> Node | None:
    if one.shape is Shape.LIST:
        if added or removed:
            if whole:
                raise click.UsageError(f"--{kebab(one.name)} gives the whole list: --add- and --remove- do not go with it")
            both = (("Add", added), ("Remove", removed))
            return Table(tuple((key, _list(_split(values))) for key, values in both if values))
        return _list(_split(whole)) if whole else None
    return None if whole is None else Literal(whole)


def _split(values: tuple[str, ...]) -> list[str]:
    return [one.strip() for value in values for one in value.split(",") if one.strip()]


def _list(values: Any) -> Node:
    return Many(tuple(Literal(value) for value in values)) if values else Literal(None)


get, new, set_, remove, enable, disable = (Verb(verb) for verb in _HELP)
