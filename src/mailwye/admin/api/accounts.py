"""/users, /tokens, /me. Nobody can give away more than he has himself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from mailwye.access.accounts import TOKEN_DAYS, AccountError, NoSuchAccount, Token, User, UserRow, check_password, new_user_name, user_name
from mailwye.access.new_token import make_token
from mailwye.access.roles import Permission, Role, permissions_of
from mailwye.access.second_factor import SECRET_CHARACTERS, SecondFactor, app_address, new_secret, owner_of, step_of
from mailwye.admin.api.answers import NO_CONTENT, Answer, Page, no_content
from mailwye.admin.api.guarded import Context, Ctx, router
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import Body

Name = Annotated[str, Path(min_length=1, max_length=64)]
_Password = Annotated[str, Field(max_length=1024, json_schema_extra={"writeOnly": True})]
_Roles = Annotated[tuple[Role, ...], Field(max_length=len(Role))]


class NewUser(Body):
    """A user with his roles; none: he may do nothing."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: _Password
    roles: _Roles = ()


class Roles(Body):
    """What a user is from now on."""

    roles: _Roles


class Password(Body):
    """Written, never read back."""

    password: _Password


class NewFactor(Body):
    """A secret that the app has, and the code that it shows: both from POST and the app."""

    secret: Annotated[str, Field(pattern=f"^[A-Z2-7]{{{SECRET_CHARACTERS}}}$", json_schema_extra={"writeOnly": True})]
    code: Annotated[str, Field(max_length=16)]


class NewToken(Body):
    """`scopes`: none given means all that the caller may. `user`: oneself where left out. A token that is made with a token ends with that
    one at the latest.
    """

    comment: Annotated[str, Field(max_length=256)] = ""
    scopes: Annotated[tuple[Permission, ...], Field(max_length=len(Permission))] = ()
    days: Annotated[int, Field(ge=1, le=TOKEN_DAYS)] = 90
    user: Annotated[str, Field(max_length=64)] = ""


class Me(TypedDict):
    """`token`: its id, "" where the password was given."""

    name: str
    token: str
    permissions: list[str]


class TokenRow(TypedDict):
    """Times in Unix seconds."""

    id: str
    user: str
    comment: str
    scopes: list[str]
    created: float
    expires: float


class MadeToken(TokenRow):
    """`secret`: the token itself, shown this once."""

    secret: str


class ProposedFactor(TypedDict):
    """Both are shown this once. `address`: otpauth://, for the app."""

    secret: str
    address: str


def accounts() -> APIRouter:
    """The routes."""
    api = router("accounts")

    @api.get("/me", summary="Who the caller is, and what he may")
    async def me(context: Ctx) -> Answer[Me]:
        caller = context.caller
        return Answer({"name": caller.name, "token": caller.token, "permissions": sorted(one.value for one in caller.permissions)})

    _users(api)
    _second_factors(api)
    _tokens(api)
    return api


def _users(api: APIRouter) -> None:
    @api.get("/users", summary="List users")
    async def list_users(context: Ctx) -> Answer[Page[UserRow]]:
        return Answer({"items": [user.to_dict() for user in context.services.accounts.users()], "next": None})

    @api.post("/users", summary="Add a user", status_code=201)
    async def add(context: Ctx, new: NewUser) -> Answer[UserRow]:
        services = context.services
        _grant(context, new.roles)
        name = _checked(new_user_name, new.name)
        hashed = await asyncio.to_thread(services.hash_password, _checked(check_password, new.password))
        user = User(name, tuple(dict.fromkeys(new.roles)), services.clock.now())
        try:
            services.accounts.add_user(user, hashed)
        except AccountError as error:
            raise ApiError(409, str(error)) from error
        context.audit("user.add", name, ", ".join(role.value for role in user.roles) or "no role")
        return Answer(user.to_dict(), 201)

    @api.put("/users/{name}/roles", summary="Give a user other roles", status_code=NO_CONTENT)
    async def set_roles(context: Ctx, name: Name, new: Roles) -> Response:
        _outrank(context, name)
        _grant(context, new.roles)
        context.services.accounts.set_roles(name.lower(), tuple(dict.fromkeys(new.roles)))
        context.audit("user.roles", name, ", ".join(role.value for role in new.roles) or "no role")
        return no_content()

    @api.put("/users/{name}/password", summary="Set a user's password", status_code=NO_CONTENT)
    async def set_password(context: Ctx, name: Name, new: Password) -> Response:
        _outrank(context, name)
        hashed = await asyncio.to_thread(context.services.hash_password, _checked(check_password, new.password))
        context.services.accounts.set_password(name.lower(), hashed)
        context.audit("user.password", name, "set")
        return no_content()

    @api.delete("/users/{name}", summary="Remove a user, with his tokens", status_code=NO_CONTENT)
    async def remove(context: Ctx, name: Name) -> Response:
        _outrank(context, name)
        context.services.accounts.remove_user(name.lower())
        context.audit("user.remove", name, "gone")
        return no_content()


def _second_factors(api: APIRouter) -> None:
    @api.post("/users/{name}/totp", summary="Propose a second factor: its secret is shown once and not kept")
    async def propose_factor(context: Ctx, name: Name) -> Answer[ProposedFactor]:
        user, services = _outrank(context, name), context.services
        secret = new_secret(services.secret)
        address = app_address(secret, user.name, services.installation.hostname)
        return Answer({"secret": secret, "address": address}, headers={"Cache-Control": "no-store"})

    @api.put("/users/{name}/totp", summary="Give a user the second factor whose code fits", status_code=NO_CONTENT)
    async def set_factor(context: Ctx, name: Name, new: NewFactor) -> Response:
        user, services = _outrank(context, name), context.services
        step = step_of(new.secret, new.code, services.clock.now())
        if not step:
            raise ApiError(422, "this is no code of that secret; look at the clocks of both")
        await services.with_settings(_keep_factor, context, user.name, new.secret, step)
        context.audit("user.totp", user.name, "enabled")
        return no_content()

    @api.delete("/users/{name}/totp", summary="Ask a user for his password alone again", status_code=NO_CONTENT)
    async def remove_factor(context: Ctx, name: Name) -> Response:
        user = _outrank(context, name)
        context.services.accounts.remove_second_factor(user.name)
        context.audit("user.totp", user.name, "disabled")
        return no_content()


def _tokens(api: APIRouter) -> None:
    @api.get("/tokens", summary="List one's tokens, or all where one may")
    async def list_tokens(context: Ctx) -> Answer[Page[TokenRow]]:
        whose = "" if context.caller.may(Permission.ACCOUNTS_WRITE) else context.caller.name
        return Answer({"items": [_token(token) for token in context.services.accounts.tokens(whose)], "next": None})

    @api.post("/tokens", summary="Make a token: it is shown once", status_code=201)
    async def new(context: Ctx, wish: NewToken) -> Answer[MadeToken]:
        services, caller = context.services, context.caller
        owner = _checked(user_name, wish.user) if wish.user else caller.name
        if caller.person is not None and owner == caller.name:
            raise ApiError(409, f"{owner} is no user of ours: his tokens are his issuer's; name a user whose token it shall be")
        if owner != caller.name:
            caller.need(Permission.ACCOUNTS_WRITE, "this for another user")
            _outrank(context, owner)
        scopes = frozenset(wish.scopes) or caller.permissions
        if scopes - caller.permissions:
            raise ApiError(403, "a token cannot carry more than its maker may")
        token, secret, digest = make_token(
            owner, scopes, wish.comment, days=wish.days, now=services.clock.now(), secret=services.secret, ends=caller.ends
        )
        services.accounts.add_token(token, digest)
        context.audit("token.new", f"{token.id} of {owner}", ", ".join(sorted(scope.value for scope in scopes)))
        return Answer({**_token(token), "secret": secret}, 201, {"Cache-Control": "no-store"})

    @api.delete("/tokens/{token_id}", summary="Revoke a token", status_code=NO_CONTENT)
    async def revoke(context: Ctx, token_id: Annotated[str, Path(max_length=64)]) -> Response:
        whose = "" if context.caller.may(Permission.ACCOUNTS_WRITE) else context.caller.name
        found = next((token for token in context.services.accounts.tokens(whose) if token.id == token_id), None)
        if found is None:
            raise NoSuchAccount(f"there is no token {token_id}")  # of others: as if it did not exist
        if found.user != context.caller.name:
            _outrank(context, found.user)
        context.services.accounts.remove_token(token_id)
        context.audit("token.revoke", token_id, "gone")
        return no_content()


def _keep_factor(context: Context, name: str, secret: str, step: int) -> None:
    """A rotation that drops the key meanwhile would not know of this secret: it waits, or is waited for."""
    vault = context.services.vault
    with vault.alone():
        context.services.accounts.set_second_factor(name, SecondFactor(vault.seal(secret, owner_of(name)), step))


def _checked(check: Any, value: str) -> str:
    try:
        return str(check(value))
    except AccountError as error:
        raise ApiError(422, str(error)) from error


def _grant(context: Context, roles: Sequence[Role]) -> None:
    if permissions_of(roles) - context.caller.permissions:
        raise ApiError(403, "nobody can give a role that permits more than he may himself")


def _outrank(context: Context, name: str) -> User:
    """The user. Whoever sets a password could be that user."""
    user = context.services.accounts.user(name.lower())
    if user is None:
        raise NoSuchAccount(f"there is no user {name}")
    if user.permissions - context.caller.permissions:
        raise ApiError(403, f"{user.name} may more than {context.caller.who}")
    return user


def _token(token: Token) -> TokenRow:
    scopes = sorted(scope.value for scope in token.scopes)
    return {
        "id": token.id,
        "user": token.user,
        "comment": token.comment,
        "scopes": scopes,
        "created": token.created,
        "expires": token.expires,
    }
