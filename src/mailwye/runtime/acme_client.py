"""A certificate from an authority that speaks ACME (RFC 8555), proved by HTTP-01. Blocks; for the command line. Needs the extra `acme`."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from mailwye.runtime.clock import Clock

ANSWER_SECONDS = 180.0
"""How long the authority may take to look at the answers and to issue."""

USER_AGENT = "mailwye"


class AcmeError(Exception):
    """No certificate was issued; the text is for people."""


@dataclass(frozen=True, slots=True)
class Account:
    """At the authority `directory` (URL). `key`: PEM of an EC key (new_key); the account is made when first needed. `email`: for the
    authority's own notices, "" for none. `authority`: PEM file of the authority that vouches for the URL, "" for the usual ones.
    """

    directory: str
    key: bytes
    email: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """Where HTTP-01 answers are put: `publish(token, answer)` before the authority looks, `withdraw(token)` after."""

    publish: Callable[[str, str], None]
    withdraw: Callable[[str], None]


def new_key() -> bytes:
    """A private key, EC P-256, PKCS #8 in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def request_certificate(account: Account, key: bytes, names: Sequence[str], answers: Answers, *, clock: Clock) -> bytes:
    """The chain for `names` and the private `key` (PEM), leaf first.

    :raises AcmeError: the authority cannot be reached, does not accept the names, or took too long; what it said is in the text.
    """
    published: list[str] = []
    try:
        acme = _connect(account)
        order = acme.new_order(_signing_request(key, names))
        for authorization in order.authorizations:
            challenge = _http_challenge(authorization)
            if challenge is None:
                continue  # proved a short time ago
            response, answer = challenge.chall.response_and_validation(acme.net.key)
            token = challenge.chall.encode("token")
            published.append(token)
            answers.publish(token, answer)
            acme.answer_challenge(challenge, response)
        deadline = datetime.datetime.fromtimestamp(clock.now() + ANSWER_SECONDS)  # noqa: DTZ006 - acme compares with naive local time
        chain: str = acme.poll_and_finalize(order, deadline).fullchain_pem
    except errors.TimeoutError as error:
        raise AcmeError(f"{account.directory}: no certificate within {ANSWER_SECONDS:.0f} s; try again later") from error
    except errors.IssuanceError as error:
        raise AcmeError(f"{account.directory} refused: {error.error}") from error
    except (errors.Error, messages.Error, JoseError) as error:
        raise AcmeError(f"{account.directory} refused: {error}") from error
    except (requests.RequestException, ValueError, KeyError) as error:
        raise AcmeError(f"{account.directory} cannot be used: {error}") from error
    finally:
        for token in published:
            answers.withdraw(token)
    return chain.encode()


def _connect(account: Account) -> client.ClientV2:
    loaded = serialization.load_pem_private_key(account.key, None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise AcmeError("the account's key is no EC key; remove its file to begin a new account")
    network = client.ClientNetwork(JWKEC(key=loaded), alg=ES256, user_agent=USER_AGENT)
    if account.authority:
        network.verify_ssl = account.authority  # type: ignore[assignment]  # requests takes a file as well
    acme = client.ClientV2(client.ClientV2.get_directory(account.directory, network), network)
    registration = messages.NewRegistration.from_data(email=account.email or None, terms_of_service_agreed=True)
    try:
        acme.new_account(registration)
    except errors.ConflictError as error:  # the account is there already
        acme.query_registration(messages.RegistrationResource(uri=error.location, body=messages.Registration()))
    return acme


def _http_challenge(authorization: messages.AuthorizationResource) -> messages.ChallengeBody | None:
    """The HTTP-01 challenge of a pending authorization; None where nothing has to be proved."""
    if authorization.body.status == messages.STATUS_VALID:
        return None
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.HTTP01):
            return challenge
    raise AcmeError(f"the authority offers no HTTP-01 for {authorization.body.identifier.value}; use certbot with another proof")


def _signing_request(key: bytes, names: Sequence[str]) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(loaded, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
