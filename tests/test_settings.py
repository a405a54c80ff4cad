from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from settings import VARIABLES, Settings, SettingsError, Variable, from_mapping

API_SECRET = "an-api-secret"
JWT_SIGNING_KEY = "0123456789abcdef0123456789abcdef"
REQUIRED = {"API_SECRET": API_SECRET, "JWT_SIGNING_KEY": JWT_SIGNING_KEY}
NUMBERS = [pytest.param(variable, *variable.bounds, id=variable.name) for variable in VARIABLES if variable.bounds]
# The total can be no less than its part; each bound is tried with the other out of the way.
ROOM = {"BUFFER_NAMESPACE_MIB": "1", "BUFFER_TOTAL_MIB": "1048576"}


def problems_of(variables: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        from_mapping(variables)
    return caught.value.problems


def vars_of(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


def names_of(problems: tuple[str, ...]) -> list[str]:
    return [problem.partition(" ")[0] for problem in problems]


def test_the_required_variables_alone_give_the_defaults() -> None:
    assert from_mapping(REQUIRED) == Settings(api_secret=API_SECRET, jwt_signing_key=JWT_SIGNING_KEY)


def test_both_required_variables_are_missed_in_one_line() -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping({})
    assert str(caught.value) == "bad settings: API_SECRET is missing; JWT_SIGNING_KEY is missing"


def test_a_variable_set_to_nothing_counts_as_unset() -> None:
    empty = dict.fromkeys((variable.name for variable in VARIABLES), "")
    assert from_mapping(empty | REQUIRED) == from_mapping(REQUIRED)


def test_variables_of_others_are_ignored() -> None:
    assert from_mapping(REQUIRED | {"PATH": "/bin", "port": "x"}) == from_mapping(REQUIRED)


def test_every_field_has_its_variable() -> None:
    assert Settings.__struct_fields__ == tuple(variable.field for variable in VARIABLES)
    assert all(variable.name == variable.field.upper() for variable in VARIABLES)


def test_every_number_has_its_bounds_around_its_default() -> None:
    numbers = {name for name, value in vars_of(from_mapping(REQUIRED)).items() if isinstance(value, int)}
    assert numbers == {variable.field for variable in VARIABLES if variable.bounds}
    for variable in VARIABLES:
        if variable.bounds:
            assert variable.bounds[0] <= int(variable.default) <= variable.bounds[1]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        from_mapping(REQUIRED).port = 1  # type: ignore[misc]


def test_every_shown_default_is_the_one_that_holds() -> None:
    shown = {v.name: v.default for v in VARIABLES if v.name not in {"ADDRESS", "INGEST_SECRET"}}
    assert from_mapping(shown | REQUIRED) == from_mapping(REQUIRED)


def test_every_variable_says_what_it_is_for() -> None:
    assert all(variable.meaning for variable in VARIABLES)


def test_only_the_two_secrets_are_required() -> None:
    assert [variable.name for variable in VARIABLES if variable.required] == ["API_SECRET", "JWT_SIGNING_KEY"]


def test_the_ingest_secret_is_the_api_secret_unless_it_is_set() -> None:
    assert from_mapping(REQUIRED).ingest_secret == API_SECRET
    assert from_mapping(REQUIRED | {"INGEST_SECRET": "other"}).ingest_secret == "other"


def test_no_secret_shows_in_the_repr_of_settings() -> None:
    secrets = {v.name: f"{v.name.lower()}-{'x' * 32}" for v in VARIABLES if "SECRET" in v.name or "KEY" in v.name}
    settings = from_mapping(secrets)
    assert len(secrets) == 6
    for shown in (repr(settings), str(settings), f"{settings!r:.5000}"):
        assert not [secret for secret in secrets.values() if secret in shown]
    assert repr(settings).startswith("Settings(jwt_expiration_minutes=60, port=8080, address='', ")


@pytest.mark.parametrize(("variable", "low", "high"), NUMBERS)
def test_a_number_is_read_at_both_of_its_bounds(variable: Variable, low: int, high: int) -> None:
    for bound in (low, high):
        settings = from_mapping(ROOM | REQUIRED | {variable.name: str(bound)})
        assert getattr(settings, variable.field) == bound


@pytest.mark.parametrize(("variable", "low", "high"), NUMBERS)
def test_a_number_beyond_its_bounds_is_refused_with_the_bounds(variable: Variable, low: int, high: int) -> None:
    expected = f"{variable.name} must be a whole number from {low} to {high}"
    for beyond in (low - 1, high + 1):
        assert problems_of(REQUIRED | {variable.name: str(beyond)}) == (expected,)


@pytest.mark.parametrize(
    "text", ["x", "1e3", "+5", "-5", "5.0", "0x5", "1_0", "\uff11\uff12", "²", " ", "5 5", "5" * 5000]
)
def test_a_number_is_ascii_digits_only(text: str) -> None:
    assert names_of(problems_of(REQUIRED | {"MAX_READERS": text})) == ["MAX_READERS"]


@given(st.integers(1, 1_000_000), st.text(" \t\n", max_size=3), st.text("0", max_size=3))
def test_a_number_may_have_space_around_it_and_noughts_before_it(number: int, space: str, noughts: str) -> None:
    settings = from_mapping(REQUIRED | {"MAX_READERS": f"{space}{noughts}{number}{space}"})
    assert settings.max_readers == number


def test_a_namespace_cannot_have_more_memory_than_all_of_them() -> None:
    problems = problems_of(REQUIRED | {"BUFFER_NAMESPACE_MIB": "257"})
    assert problems == ("BUFFER_TOTAL_MIB must not be less than BUFFER_NAMESPACE_MIB",)


@pytest.mark.parametrize("name", ["API_SECRET", "INGEST_SECRET", "API_SECRET_PREVIOUS", "INGEST_SECRET_PREVIOUS"])
@pytest.mark.parametrize("secret", ["two words", "line-end\n", " ", "\x7f", "caf\u00e9", "\udcff", "nul\0"])
def test_a_secret_that_no_header_can_carry_is_refused(name: str, secret: str) -> None:
    expected = f"{name} must be visible ASCII characters without spaces or line ends"
    assert problems_of(REQUIRED | {name: secret}) == (expected,)


@pytest.mark.parametrize("name", ["JWT_SIGNING_KEY", "JWT_SIGNING_KEY_PREVIOUS"])
def test_a_signing_key_has_at_least_32_bytes(name: str) -> None:
    assert problems_of(REQUIRED | {name: "k" * 31}) == (f"{name} must be at least 32 bytes long",)
    assert from_mapping(REQUIRED | {name: "k" * 32})


def test_the_bytes_of_a_signing_key_are_counted_not_its_characters() -> None:
    assert from_mapping(REQUIRED | {"JWT_SIGNING_KEY": "\u00e9" * 16}).jwt_signing_key == "\u00e9" * 16


def test_a_signing_key_is_taken_as_it_is_even_with_a_line_end() -> None:
    key = f" {JWT_SIGNING_KEY}\n"
    assert from_mapping(REQUIRED | {"JWT_SIGNING_KEY": key}).jwt_signing_key == key


def test_a_signing_key_of_other_bytes_than_utf8_is_refused() -> None:
    problems = problems_of(REQUIRED | {"JWT_SIGNING_KEY": "\udcff" * 40})
    assert problems == ("JWT_SIGNING_KEY must be UTF-8 text",)


def test_a_public_key_is_refused_as_a_signing_key() -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
    problems = problems_of(REQUIRED | {"JWT_SIGNING_KEY": pem})
    assert problems == ("JWT_SIGNING_KEY must be a plain secret, not a PEM, SSH or JSON key",)


@pytest.mark.parametrize("address", ["127.0.0.1", "::", "fe80::1%Eth0", "localhost", "Logs.example.com.", "my_host"])
def test_an_ip_address_or_host_name_can_be_listened_on(address: str) -> None:
    assert from_mapping(REQUIRED | {"ADDRESS": f" {address} "}).address == address


@pytest.mark.parametrize(
    "address", ["300.1.1.1", "[::1]", "*", "a b", "-a", "a..b", "a:80", "http://a", " ", "a." * 127]
)
def test_anything_else_cannot_be_listened_on(address: str) -> None:
    problems = problems_of(REQUIRED | {"ADDRESS": address})
    assert problems == ("ADDRESS must be an IP address or a host name",)


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("https://Example.com/", ("https://example.com",)),
        ("http://a:8080, https://b,", ("http://a:8080", "https://b")),
        ("HTTPS://a:443,http://a:080,http://a:443", ("https://a", "http://a", "http://a:443")),
        ("https://a,https://A/", ("https://a",)),
        ("http://127.0.0.1:3000,http://[::1]:3000", ("http://127.0.0.1:3000", "http://[::1]:3000")),
        ("moz-extension://0a1b-2c", ("moz-extension://0a1b-2c",)),
    ],
)
def test_origins_are_written_as_browsers_write_them(text: str, origins: tuple[str, ...]) -> None:
    assert from_mapping(REQUIRED | {"ALLOWED_ORIGINS": text}).allowed_origins == origins


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "https://a/path",
        "https://user@a",
        "https://*.a",
        "https://",
        "https://a https://b",
        "https://a,nonsense",
        "https://a:0",
        "https://a:65536",
        "https://1.2.3.400",
        "https://[1.2.3.4]",
        "https://[:]",
        "null",
        ",",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    assert names_of(problems_of(REQUIRED | {"ALLOWED_ORIGINS": text})) == ["ALLOWED_ORIGINS"]


def test_several_servers_of_nats_are_separated_by_commas() -> None:
    text = "nats://a:4222, tls://user:secret@b.example,nats://[::1]:4222,"
    settings = from_mapping(REQUIRED | {"NATS_URL": text})
    assert settings.nats_url == ("nats://a:4222", "tls://user:secret@b.example", "nats://[::1]:4222")
    assert "secret@" not in repr(settings)


@pytest.mark.parametrize("text", ["a:4222", "http://a", "nats://", "nats://a:0", "nats://1.2.3.400", "nats://a b"])
def test_what_is_no_server_of_nats_is_refused(text: str) -> None:
    assert names_of(problems_of(REQUIRED | {"NATS_URL": text})) == ["NATS_URL"]


def test_a_stream_is_named_as_nats_allows() -> None:
    assert from_mapping(REQUIRED | {"NATS_STREAM": "LOGS-2_b"}).nats_stream == "LOGS-2_b"
    assert names_of(problems_of(REQUIRED | {"NATS_STREAM": "a.b"})) == ["NATS_STREAM"]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("self", "'self'"),
        ("'self'", "'self'"),
        ("none", "'none'"),
        ("*", "*"),
        ("self, https://Grafana.example.com/", "'self' https://grafana.example.com"),
    ],
)
def test_the_pages_that_may_frame_the_viewer_are_written_as_a_policy_has_them(text: str, policy: str) -> None:
    assert from_mapping(REQUIRED | {"FRAME_ANCESTORS": text}).frame_ancestors == policy


@pytest.mark.parametrize("text", ["a; script-src *", "self none", "example.com", ",", "https://a\r\nX: y"])
def test_what_cannot_frame_the_viewer_is_refused(text: str) -> None:
    assert names_of(problems_of(REQUIRED | {"FRAME_ANCESTORS": text})) == ["FRAME_ANCESTORS"]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("HTTPS://Example.com:443", "https://example.com"),
        (" https://example.com:8443/ ", "https://example.com:8443"),
        ("http://[::1]:8080/a/logs/", "http://[::1]:8080/a/logs"),
    ],
)
def test_a_public_url_may_have_a_path_and_ends_without_a_slash(text: str, url: str) -> None:
    assert from_mapping(REQUIRED | {"PUBLIC_URL": text}).public_url == url


@pytest.mark.parametrize(
    "text", ["example.com", "ftp://a", "https://", "https://a?b", "https://a/#b", "https://u@a", "https://a:0", "*"]
)
def test_what_no_link_can_begin_with_is_refused(text: str) -> None:
    assert names_of(problems_of(REQUIRED | {"PUBLIC_URL": text})) == ["PUBLIC_URL"]


def test_a_log_level_has_no_case() -> None:
    assert from_mapping(REQUIRED | {"LOG_LEVEL": " Warning "}).log_level == "warning"


def test_an_unknown_log_level_is_answered_with_the_known_ones() -> None:
    problems = problems_of(REQUIRED | {"LOG_LEVEL": "loud"})
    assert problems == ("LOG_LEVEL must be one of debug, info, warning, error",)


@given(st.lists(st.sampled_from(VARIABLES), unique=True, min_size=1))
def test_every_bad_variable_is_named_in_order_and_no_value_is_shown(bad: list[Variable]) -> None:
    value = "hunter two\n"
    with pytest.raises(SettingsError) as caught:
        from_mapping(REQUIRED | {variable.name: value for variable in bad})
    assert names_of(caught.value.problems) == [variable.name for variable in VARIABLES if variable in bad]
    assert "hunter" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from([variable.name for variable in VARIABLES]), st.text()))
@example({"PORT": "\udcff"})
def test_any_text_is_read_or_refused_by_its_name(variables: dict[str, str]) -> None:
    try:
        from_mapping(REQUIRED | variables)
    except SettingsError as error:
        refused = names_of(error.problems)
    else:
        refused = []
    assert set(refused) <= variables.keys()
