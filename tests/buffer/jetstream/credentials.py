"""An operator of NATS with one account, made as its tools make them: https://docs.nats.io, decentralised JWT."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any

import nkeys

_UNBOUNDED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}


def _pair(prefix: int) -> Any:
    return nkeys.from_seed(nkeys.encode_seed(secrets.token_bytes(32), prefix))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwt(issuer: Any, subject: Any, nats: dict[str, Any]) -> str:
    """Return what an issuer says of a subject, signed."""
    claims = {
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "name": nats["type"],
        "sub": subject.public_key.decode(),
        "nats": nats | {"version": 2},
    }
    claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).rstrip(b"=").decode()
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    head = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{_encoded(issuer.sign(head.encode()))}"


class Operator:
    """`config` is for a server that trusts it."""

    def __init__(self) -> None:
        operator = _pair(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
        account = _jwt(operator, self._account, {"type": "account", "limits": _UNBOUNDED})
        public = self._account.public_key.decode()
        self.config = (
            f"operator: {_jwt(operator, operator, {'type': 'operator'})}\n"
            f"resolver: MEMORY\nresolver_preload: {{ {public}: {account} }}\n"
        )

    def user(self) -> str:
        """Return the credentials of a new user, as a file has them."""
        user = _pair(nkeys.PREFIX_BYTE_USER)
        jwt = _jwt(self._account, user, {"type": "user", "subs": -1, "data": -1, "payload": -1})
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
