"""Access control of `serve`: a secret in the printed address, and the origin of requests.  Independent of aiohttp."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress

VARIABLE = "REMDM_TUI_TOKEN"
"""The environment variable with the secret; an option would be visible in the list of processes."""
SHORTEST = 16
"""Characters of a chosen secret, at least."""
TOKEN = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
"""Text that needs no quoting in an address, a header or a cookie."""
LONGEST = 300
"""Characters of a Host or an Origin, at most; names in the DNS have up to 253."""
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(.*)", re.ASCII)


class Malformed(ValueError):
    """A header that no browser sends."""


class AccessDenied(ValueError):
    """A request without access."""


def token_from(environment: MutableMapping[str, str]) -> str:
    """Remove the secret from the environment, so that no child process has it, and return it, or a random one.

    Raises ValueError for a secret that is too short or needs quoting.
    """
    given = environment.pop(VARIABLE, None)
    if given is None:
        return secrets.token_urlsafe(32)
    if len(given) < SHORTEST or not TOKEN.fullmatch(given):
        raise ValueError(
            f"{VARIABLE} needs at least {SHORTEST} letters, digits or any of . _ ~ -: unset it for a random secret"
        )
    return given


def same(given: str, token: str) -> bool:
    """Compare in constant time; `given` may be any text."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def has_token(
    token: str, cookie: str, query: Sequence[str], cookies: Mapping[str, str], authorization: str | None
) -> bool:
    """Return whether a request has the secret: in its address, the cookie of this name or its Authorization header.

    authorization: `token SECRET`, as in Jupyter, or `Bearer SECRET`.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    candidates = [*query, cookies.get(cookie, "")]
    if scheme.lower() in ("token", "bearer"):
        candidates.append(credentials.strip())
    return any(same(each, token) for each in candidates)


def check_origin(hosts: Sequence[str], origins: Sequence[str], *, reachable: bool) -> None:
    """Refuse pages of other sites, which a browser would allow to connect to this machine.

    hosts, origins: the values of the Host and Origin headers.  reachable: whether other machines may
    reach the server, by names that are unknown here.  Raises Malformed or AccessDenied.
    """
    if len(hosts) != 1 or len(origins) > 1:
        raise Malformed("a request has one Host and at most one Origin")
    name = hostname(hosts[0], "Host")
    origin = None
    if origins and origins[0] != "null":
        match = ORIGIN.fullmatch(origins[0]) if len(origins[0]) <= LONGEST else None
        if match is None:
            raise Malformed("Origin is not scheme://host:port")
        origin = match[1]
        hostname(origin, "Origin")
    if not (reachable or loopback(name)):
        raise AccessDenied("this is served only on this machine, not under that Host")
    if origins and (origin is None or origin.lower() != hosts[0].lower()):
        raise AccessDenied("pages of other sites may not open this")


def hostname(authority: str, header: str) -> str:
    """Return the host of `host` or `host:port`, without brackets. Raises Malformed for anything else."""
    match = AUTHORITY.fullmatch(authority) if len(authority) <= LONGEST else None
    if match is None or int(match[2] or 0) > 65_535:
        raise Malformed(f"{header} is not host:port")
    if match[1][0] != "[":
        return match[1]
    try:
        return str(ipaddress.IPv6Address(match[1][1:-1]))
    except ValueError:
        raise Malformed(f"{header} is not host:port") from None


def loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host.lower() == "localhost"
