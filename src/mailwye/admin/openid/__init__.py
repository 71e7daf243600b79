"""Persons whom an OpenID provider vouches for: its access tokens in place of a user's password or token. Needs the extra `oidc`."""
