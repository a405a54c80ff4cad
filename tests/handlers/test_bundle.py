from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from handlers.assets import viewer_assets
from handlers.bundle import NotJoinable, joined

NODE = shutil.which("node")


def test_modules_stand_in_the_order_of_what_needs_what() -> None:
    texts = {
        "start.js": 'import { a, b } from "./deep/a.js";\na(b);\n',
        "deep/a.js": 'import {\n  c,\n} from "../c.js";\nexport const b = c;\n'
        "export async function* a() {}\nexport class D {}\n",
        "c.js": "const c = 1;\nexport { c };\n",
    }
    assert joined("start.js", texts) == (
        "{\nconst c = 1;\nconst b = c;\nasync function* a() {}\nclass D {}\na(b);\n}\n"
    )


def test_what_is_exported_from_elsewhere_is_passed_on() -> None:
    texts = {
        "a.js": 'import { c } from "./b.js";\nc;\n',
        "b.js": 'export { c } from "./c.js";\n',
        "c.js": "export const c = 1;\n",
    }
    assert joined("a.js", texts) == "{\nconst c = 1;\nc;\n}\n"


def test_a_module_that_many_import_is_there_once() -> None:
    texts = {
        "a.js": 'import { b } from "./b.js";\nimport { c } from "./c.js";\n',
        "b.js": 'import { c } from "./c.js";\nexport const b = c;\n',
    }
    assert joined("a.js", texts | {"c.js": "export const c = 1;\n"}).count("const c = 1;") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('import a from "./a.js";\n', 'import a from "./a.js";'),
        ("export default 1;\n", "export default 1;"),
        ('import { a } from "./a.js";\n', "it imports start.js"),
        ('import { a } from "./gone.js";\n', "it imports gone.js"),
        ('import { c } from "./b.js";\n', "./b.js has no c"),
        ('import { b as c } from "./b.js";\n', "./b.js has no b as c"),
        ('import { b } from "./b.js";\nfunction hidden() {}\n', "b.js has a hidden too"),
    ],
)
def test_what_cannot_be_joined_is_refused(text: str, line: str) -> None:
    with pytest.raises(NotJoinable) as caught:
        joined(
            "start.js",
            {
                "start.js": text,
                "a.js": 'import { b } from "./start.js";\n',
                "b.js": "export const b = 2;\nconst hidden = 3;\n",
            },
        )
    assert caught.value.line == line


def test_the_page_of_the_viewer_is_small() -> None:
    bodies = [viewer_assets().files[name].bodies["br"] for name in ("view.html", "view.css", "start.js")]
    assert sum(map(len, bodies)) <= 25_000


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_the_script_of_the_viewer_is_one_that_a_browser_can_read() -> None:
    assert NODE is not None
    script = viewer_assets().files["start.js"].bodies["identity"]
    assert not re.search(rb"^(?:import|export)\b", script, re.MULTILINE)
    arguments = [NODE, "--input-type=module", "--check", "-"]
    subprocess.run(arguments, input=script, check=True, timeout=30)
