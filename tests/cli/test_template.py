from __future__ import annotations

import pytest

from cli.errors import BadInput
from cli.template import FIELDS, Template


def _filled(text: str, **values: str) -> str:
    return Template.parse(text).render(lambda field, specification: format(values[field], specification))


def test_fields_take_their_values() -> None:
    text = " ".join(f"{{{field}}}" for field in FIELDS)
    assert _filled(text, **{field: field.upper() for field in FIELDS}) == " ".join(FIELDS).upper()


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{pod}: {log}!", "web: hello!"),
        ("{{{pod}}}", "{web}"),
        ("{pod:<5}|{pod:>5}|{pod:^5}|{pod:.1}|{pod:-<5.2}", "web  |  web| web |w|we---"),
        ("{pod}{log:.0}", "web"),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    assert _filled(text, pod="web", log="hello") == filled


def test_a_template_knows_whether_it_has_the_log() -> None:
    assert (Template.parse("{log}").has_log, Template.parse("{pod}").has_log) == (True, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{message}", "--template does not know {message}: there are {timestamp}, {namespace}, {pod}, {container}"),
        ("{}", "--template does not know {}"),
        ("{pod.x}", "--template does not know {pod.x}"),
        ("{pod[0]}", "--template does not know"),
        ("{pod!r}", "not {pod!r}"),
        ("{pod:d}", "not {pod:d}"),
        ("{pod:{log}}", "not {pod:{log}}"),
        ("{pod:>9999}", "not {pod:>9999}"),
        ("{pod", "'{pod' has half a pair of braces"),
        ("pod}", "'pod}' has half a pair of braces"),
        ("pod", "--template 'pod' has no field"),
        ("", "--template '' has no field"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        Template.parse(text)
    assert problem in str(refused.value)
