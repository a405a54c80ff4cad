"""POST /api/sign: a token for what a reader may see."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlencode

from handlers.authorisation import Unauthorized
from handlers.base import Handler
from handlers.tokens import MAX_BODY_BYTES, parse_sign_request


class SignHandler(Handler):
    """Signs tokens for callers with the API secret."""

    max_body = MAX_BODY_BYTES

    def prepare(self) -> None:
        """Refuse callers without the API secret."""
        super().prepare()
        try:
            self.services.api_secrets.check(self.request.headers.get_list("Authorization"))
        except Unauthorized as error:
            self.body.refuse(error)

    def post(self) -> None:
        """Answer with a token, links for programs and for browsers, and when it expires."""
        request = parse_sign_request(self.body.whole(), self.services.settings.jwt_expiration_minutes * 60)
        token, grant = self.services.tokens.sign(request)
        self.services.requests.tokens_signed += 1
        lifetime = grant.expires_at - int(self.services.now())
        base = self.services.settings.public_url
        self.log_event("token signed", **grant.selector.facts, lifetime=lifetime, jti=grant.jti, sub=grant.sub)
        self.answer(
            {
                "token": token,
                "url": f"{base}/logs?{urlencode({'token': token})}",
                "view": f"{base}/view#{urlencode({'token': token})}",
                "expires_at": dt.datetime.fromtimestamp(grant.expires_at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
