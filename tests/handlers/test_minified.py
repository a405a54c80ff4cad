from __future__ import annotations

import subprocess
import sys

import pytest

from handlers.minified import minified


def test_scripts_and_styles_are_minified_and_pages_are_not() -> None:
    texts = {
        "a.js": "// why\nexport function twice(/** @type {number} */ number) {\n  return number + number;\n}\n",
        "deep/a.css": "/* why */\n.a {\n  color: #ff0000;\n}\n",
        "a.html": "<pre>\n  // as it is\n</pre>\n",
    }
    assert minified(texts) == {
        "a.js": "export function twice(e){return e+e}",
        "deep/a.css": ".a{color:red}",
        "a.html": "<pre>\n  // as it is\n</pre>\n",
    }


def test_letters_of_any_language_stay_what_they_are() -> None:
    assert minified({"a.js": 'f("\N{SNOWMAN}\N{PILE OF POO}\\ud800")'}) == {
        "a.js": 'f("\N{SNOWMAN}\N{PILE OF POO}\\ud800")'
    }


def test_a_script_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        minified({"a.js": "function ("})


def test_the_minifier_stays_out_of_this_process() -> None:
    minified({"a.js": "1"})
    assert "minify" not in sys.modules
