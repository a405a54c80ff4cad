from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import hmac
import json
import math
import string
from typing import Any

import jwt
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from buffer.selector import Names, Selector
from handlers.authorisation import Unauthorized
from handlers.scope import InvalidMember, scope_members
from handlers.tokens import (
    MAX_BODY_BYTES,
    MAX_REMEMBERED,
    MAX_TOKEN_BYTES,
    Grant,
    InvalidBody,
    SignRequest,
    Tokens,
    parse_sign_request,
)
from tests.handlers.scopes import equal, json_values, label_objects, selectors

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"
# Far from the clock on the wall: a check against that one would show.
NOW = 1_000_000_000
LIFETIME = 3600
CLAIMS: dict[str, Any] = {"exp": NOW + 60, "iat": NOW, "namespace": "myapp"}
NOT_HS256 = "the token is not a JWT signed with HS256"
HEADER = {"alg": "HS256", "typ": "JWT"}

anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
claim_values = anything | label_objects | st.integers(NOW - 2, NOW + 2) | json_values


def tokens(key: str = KEY, previous_key: str = "", now: float = NOW) -> Tokens:
    return Tokens(key, previous_key, LIFETIME, lambda: now)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def minted(payload: bytes, header: dict[str, Any] = HEADER, digest: str = "sha256", key: str = KEY) -> str:
    """Sign by hand, as no library would."""
    signed = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
    return f"{signed}.{base64url(hmac.new(key.encode(), signed.encode(), digest).digest())}"


def claiming(**claims: Any) -> str:
    return minted(json.dumps(CLAIMS | claims).encode())


def refusal(token: str, verifier: Tokens | None = None) -> str:
    with pytest.raises(Unauthorized) as caught:
        (verifier or tokens()).verify(token)
    return str(caught.value)


def invalid_member(body: object, max_expires_in: int = LIFETIME) -> tuple[str, str]:
    with pytest.raises(InvalidMember) as caught:
        parse_sign_request(json.dumps(body).encode(), max_expires_in)
    return caught.value.member, str(caught.value)


# Signing and verifying


@given(selectors, st.none() | st.integers(1, LIFETIME))
def test_a_signed_token_grants_what_was_signed(selector: Selector, expires_in: int | None) -> None:
    token, grant = tokens().sign(SignRequest(selector, expires_in, "jane"))
    assert grant == Grant(selector, NOW + (expires_in or LIFETIME), grant.jti, "jane")
    assert tokens().verify(token) == grant


def test_no_two_tokens_have_the_same_name() -> None:
    request = SignRequest(Selector("myapp"))
    assert len({tokens().sign(request).grant.jti for _ in range(100)}) == 100


def test_only_what_is_given_becomes_a_claim() -> None:
    token, _ = tokens().sign(SignRequest(Selector("myapp"), 60))
    assert decoded(token) == CLAIMS


def decoded(token: str) -> dict[str, Any]:
    """Return the claims of a token but its name, which is a random one."""
    claims: dict[str, Any] = jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False})
    assert claims.pop("jti")
    return claims


def test_a_token_of_another_minter_is_honoured() -> None:
    token = jwt.encode({"exp": NOW + 5, "namespace": "myapp", "labels": {}, "sub": 7, "aud": ["x"]}, KEY, "HS256")
    assert tokens().verify(token) == Grant(Selector("myapp"), NOW + 5)


def test_a_token_is_never_longer_than_what_is_verified() -> None:
    long_labels = equal(**{f"{number:03}": "v" * 250 for number in range(40)})
    with pytest.raises(InvalidBody, match=r"^the request body asks for a token of more than 8192 bytes$"):
        tokens().sign(SignRequest(Selector("myapp", labels=long_labels)))


@given(st.data(), selectors)
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject, selector: Selector) -> None:
    token, _ = tokens().sign(SignRequest(selector))
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(string.printable).filter(lambda character: character != token[place]))
    assert refusal(token[:place] + other + token[place + 1 :])


def test_a_signature_has_one_spelling() -> None:
    token, _ = tokens().sign(SignRequest(Selector("myapp")))
    # The last of 43 characters carries four bits; its neighbours in the alphabet stand for the same four.
    same_bits = base64.urlsafe_b64decode(token[-43:] + "=")
    spellings = [token[:-1] + last for last in string.ascii_letters + string.digits + "-_"]
    same = [one for one in spellings if base64.urlsafe_b64decode(one[-43:] + "=") == same_bits]
    assert len(same) == 4
    assert [refusal(one) for one in [*same, f"{token}="] if one != token] == [NOT_HS256] * 4


@given(st.data())
def test_a_token_with_anything_added_or_cut_is_refused(data: st.DataObject) -> None:
    token, _ = tokens().sign(SignRequest(Selector("myapp")))
    place = data.draw(st.integers(0, len(token)))
    added = data.draw(st.text(min_size=1, max_size=3) | st.sampled_from(["=", "\n", " "]))
    assert refusal(token[:place] + added + token[place:])
    assume(place < len(token))
    assert refusal(token[:place])


@given(st.text() | st.text("abc.", max_size=12))
@example("..")
@example("a.b.c.d")
@example("\udcff.a.a")
def test_any_text_that_is_not_a_token_is_refused(text: str) -> None:
    assert refusal(text) == NOT_HS256


def test_a_token_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert refusal("a" * (MAX_TOKEN_BYTES + 1)) == "the token is too long"


def test_a_token_of_another_key_is_refused() -> None:
    token, _ = tokens(OTHER_KEY).sign(SignRequest(Selector("myapp")))
    assert refusal(token) == "the token's signature is wrong"


def test_a_token_of_the_previous_key_is_honoured() -> None:
    token, _ = tokens(OTHER_KEY).sign(SignRequest(Selector("myapp")))
    assert tokens(KEY, OTHER_KEY).verify(token).selector == Selector("myapp")


def test_tokens_are_signed_with_the_new_key_while_there_is_a_previous_one() -> None:
    token, _ = tokens(KEY, OTHER_KEY).sign(SignRequest(Selector("myapp")))
    assert tokens(KEY).verify(token)
    assert refusal(token, tokens(OTHER_KEY))


def test_a_token_of_neither_key_is_refused() -> None:
    token, _ = tokens("x" * 32).sign(SignRequest(Selector("myapp")))
    assert refusal(token, tokens(KEY, OTHER_KEY)) == "the token's signature is wrong"


@pytest.mark.parametrize(
    ("header", "digest"),
    [
        ({"alg": "HS512"}, "sha512"),
        ({"alg": "HS384"}, "sha384"),
        ({"alg": "RS256"}, "sha256"),
        ({"alg": "none"}, "sha256"),
        ({"alg": "None"}, "sha256"),
        ({"alg": "hs256"}, "sha256"),
        ({"alg": ""}, "sha256"),
        ({"alg": None}, "sha256"),
        ({"alg": ["HS256"]}, "sha256"),
        ({"alg": {"HS256": 1}}, "sha256"),
        ({"typ": "JWT"}, "sha256"),
        ({"alg": "HS256", "crit": ["exp"], "exp": 1}, "sha256"),
        ({"alg": "HS256", "crit": []}, "sha256"),
        ({"alg": "HS256", "crit": "b64", "b64": True}, "sha256"),
        ({"alg": "HS256", "crit": ["b64"], "b64": False}, "sha256"),
        ({"alg": "HS256", "b64": False}, "sha256"),
        ({"alg": "HS256", "kid": 7}, "sha256"),
    ],
)
def test_a_header_with_anything_but_plain_hs256_is_refused(header: dict[str, Any], digest: str) -> None:
    token = minted(json.dumps(CLAIMS).encode(), header, digest)
    assert refusal(token) == NOT_HS256


def test_the_key_is_never_taken_from_the_header_of_a_token() -> None:
    jwk = {"kty": "oct", "k": base64url(OTHER_KEY.encode()), "alg": "HS256"}
    header = HEADER | {"jwk": jwk, "jku": "https://evil.example/keys", "kid": "../../dev/null"}
    token = minted(json.dumps(CLAIMS).encode(), header, key=OTHER_KEY)
    assert refusal(token) == "the token's signature is wrong"


def test_a_token_without_a_signature_is_refused() -> None:
    assert refusal(jwt.encode(CLAIMS, None, "none")) == NOT_HS256  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"[]", b"7", b"{", b"\xff", b"[" * 2000, b'{"alg":' + b"9" * 5000 + b"}"])
def test_a_header_that_is_no_json_object_is_refused(header: bytes) -> None:
    signed = f"{base64url(header)}.{base64url(json.dumps(CLAIMS).encode())}"
    signature = base64url(hmac.new(KEY.encode(), signed.encode(), hashlib.sha256).digest())
    assert refusal(f"{signed}.{signature}") == NOT_HS256


@pytest.mark.parametrize("payload", [b"[]", b"null", b"{", b"\xff", b"NaN", b"[" * 5000, b"9" * 5000, b"{} {}"])
def test_claims_that_are_no_json_object_are_refused(payload: bytes) -> None:
    assert refusal(minted(payload)) == "the token's claims are not a JSON object"


def test_an_empty_payload_is_refused() -> None:
    assert refusal(minted(b"")) == NOT_HS256


def test_a_token_is_honoured_until_its_last_moment_and_not_after() -> None:
    token = claiming(exp=NOW + 60)
    assert tokens(now=NOW + 59.999).verify(token).expires_at == NOW + 60
    assert refusal(token, tokens(now=NOW + 60)) == "the token has expired"


def test_a_token_that_was_honoured_before_is_still_refused_once_it_has_expired() -> None:
    now = [float(NOW)]
    verifier, token = Tokens(KEY, "", LIFETIME, lambda: now[0]), claiming(exp=NOW + 60)
    grants = [verifier.verify(token) for _ in range(2)]
    assert grants == [Grant(Selector("myapp"), NOW + 60)] * 2
    now[0] += 60
    assert refusal(token, verifier) == "the token has expired"


def test_a_token_that_came_too_early_is_honoured_later() -> None:
    now = [float(NOW)]
    verifier, token = Tokens(KEY, "", LIFETIME, lambda: now[0]), claiming(nbf=NOW + 1)
    assert refusal(token, verifier) == "the token is not valid yet"
    now[0] += 1
    assert verifier.verify(token)


def test_no_more_tokens_are_remembered_than_may_be() -> None:
    verifier = tokens()
    for number in range(MAX_REMEMBERED + 10):
        verifier.verify(claiming(jti=str(number)))
    kept = [one for one in gc.get_objects() if isinstance(one, Grant) and one.jti.isdigit()]
    assert len(kept) == MAX_REMEMBERED


def test_a_token_without_exp_is_refused() -> None:
    token = minted(b'{"namespace": "myapp"}')
    assert refusal(token) == "the token has no exp claim"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "time", [True, NOW + 60.5, math.inf, math.nan, "1", str(NOW + 60), None, [], -1, 10**12, 10**40]
)
def test_a_time_that_is_no_whole_number_of_unix_seconds_is_refused(claim: str, time: object) -> None:
    expected = f"the token's claim {claim} must be a whole number of Unix seconds"
    # JSON has no word for what is not finite.
    unreadable = isinstance(time, float) and not math.isfinite(time)
    assert refusal(claiming(**{claim: time})) == (
        "the token's claims are not a JSON object" if unreadable else expected
    )


def test_a_token_is_not_honoured_before_its_nbf() -> None:
    token = claiming(nbf=NOW + 1)
    assert refusal(token) == "the token is not valid yet"
    assert tokens(now=NOW + 1).verify(token)


def test_a_token_from_a_clock_ahead_of_ours_is_honoured() -> None:
    assert tokens().verify(claiming(iat=NOW + 30)) == Grant(Selector("myapp"), NOW + 60)


def test_a_token_without_a_namespace_is_refused() -> None:
    assert refusal(minted(b'{"exp": 2000000000}')) == "the token's claim namespace is missing"


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"pod": None}, "pod must be a string that is not empty"),
        ({"container": "a*b"}, "container may have * only at the end of a name"),
        ({"labels": {"app": 7}}, "labels.app must be a string"),
    ],
)
def test_a_scope_that_cannot_be_read_is_refused(claims: dict[str, Any], sentence: str) -> None:
    assert refusal(claiming(**claims)) == f"the token's claim {sentence}"


def test_names_that_kubernetes_does_not_allow_are_honoured_in_the_tokens_of_others() -> None:
    grant = tokens().verify(claiming(namespace="My_App", pod="Web_0", labels={"a b": "c/d"}))
    assert grant.selector == Selector("My_App", Names.of("Web_0"), None, equal(**{"a b": "c/d"}))


MEMBERS = ["namespace", "pod", "container", "labels", "workload", "exp", "nbf"]


@given(st.dictionaries(st.sampled_from(MEMBERS), claim_values))
def test_what_is_granted_is_what_was_claimed(claims: dict[str, Any]) -> None:
    wanted = CLAIMS | claims
    # Any other exception than this one would be answered 500.
    with contextlib.suppress(Unauthorized):
        grant = tokens().verify(claiming(**claims))
        assert wanted["exp"] > NOW >= wanted.get("nbf", 0)
        assert grant.selector.namespace == wanted["namespace"]
        for claim, found in (("pod", grant.selector.pods), ("container", grant.selector.containers)):
            assert (found is None) == (claim not in wanted)
            assert found is None or found == Names.of(*(part.strip() for part in wanted[claim].split(",")))
        assert bool(grant.selector.labels) == bool(wanted.get("labels"))


# The request for a token


def test_a_request_needs_only_a_namespace() -> None:
    assert parse_sign_request(b'{"namespace": "myapp"}', LIFETIME) == SignRequest(Selector("myapp"), None)


@given(selectors, st.integers(1, LIFETIME))
def test_a_request_is_read_as_it_was_written(selector: Selector, expires_in: int) -> None:
    body = scope_members(selector) | {"expires_in": expires_in}
    assert parse_sign_request(json.dumps(body).encode(), LIFETIME) == SignRequest(selector, expires_in)


def test_a_scope_that_cannot_be_read_is_not_signed() -> None:
    assert invalid_member({"pod": "web-1"}) == ("namespace", "namespace is missing")


def test_names_that_kubernetes_does_not_allow_are_not_signed() -> None:
    expected = "namespace must have names that Kubernetes allows, unlike My_App"
    assert invalid_member({"namespace": "My_App"}) == ("namespace", expected)


def test_of_equal_members_the_last_counts() -> None:
    assert parse_sign_request(b'{"namespace": "a", "namespace": "b"}', LIFETIME).selector.namespace == "b"


@pytest.mark.parametrize("body", [b"", b"[]", b'"a"', b"{", b"{} {}", b"\xff", b'{"namespace": "\xff"}', b"[" * 9000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBody, match=r"^the request body must be a JSON object$"):
        parse_sign_request(body, LIFETIME)


@pytest.mark.parametrize("name", [b"\\ud800", b"\\udc00x", b"\\ud800\\ud800"])
def test_a_body_with_half_a_character_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidBody):
        parse_sign_request(b'{"namespace": "%s"}' % name, LIFETIME)


def test_a_body_is_read_up_to_64_kib() -> None:
    body = b'{"namespace": "myapp"}'.ljust(MAX_BODY_BYTES)
    assert parse_sign_request(body, LIFETIME).selector.namespace == "myapp"
    with pytest.raises(InvalidBody, match=r"^the request body is larger than 65536 bytes$"):
        parse_sign_request(body + b" ", LIFETIME)


@pytest.mark.parametrize("expires_in", [0, -1, LIFETIME + 1, 10**40, True, 60.0, "60", None])
def test_a_lifetime_out_of_bounds_or_of_the_wrong_type_is_named(expires_in: object) -> None:
    expected = "expires_in must be a whole number of seconds from 1 to 3600"
    assert invalid_member({"namespace": "myapp", "expires_in": expires_in}) == ("expires_in", expected)


@pytest.mark.parametrize("member", ["Namespace", "expiresIn", "exp", "", "label"])
def test_an_unknown_member_is_named(member: str) -> None:
    expected = f"{member} is not a member of this request"
    assert invalid_member({"namespace": "myapp", member: "x"}) == (member, expected)
