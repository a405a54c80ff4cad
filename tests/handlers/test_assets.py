from __future__ import annotations

import gzip
import re

import cramjam
import pytest

from handlers.assets import VIEWER, Assets, viewer_assets

PAGE = (
    '<head>\n<link rel="stylesheet" href="a.css">\n<script type="module" src="start.js"></script>\n</head><a href="x">'
)
FILES = {
    "view.html": PAGE,
    "a.css": "/* red */\nb {\n  color: red;\n}\n",
    "start.js": 'import { a } from "./deep/a.js";\n',
    "deep/a.js": 'import {\n  b,\n} from "../b.js";\nexport { c } from "./c.js";\nexport const a = b;\n',
    "deep/c.js": "export const c = 1;\n",
    "b.js": "export const b = 1;\n",
    "alone.js": "",
}


def text_of(assets: Assets, name: str) -> str:
    return assets.files[name].bodies["identity"].decode()


def test_a_page_names_files_by_the_digest_of_all_of_them_and_nothing_else() -> None:
    assets = Assets(FILES)
    page = text_of(assets, "view.html")
    assert f'<link rel="stylesheet" href="view/{assets.digest}/a.css">' in page
    assert f'src="view/{assets.digest}/start.js"' in page
    assert '<a href="x">' in page


def test_the_script_of_a_page_has_all_that_it_imports_in_it() -> None:
    script = text_of(Assets(FILES), "start.js")
    assert "const c = 1;" in script
    assert "import" not in script


def test_another_byte_in_any_file_is_another_digest() -> None:
    assets = [
        Assets(FILES),
        Assets(FILES | {"alone.js": "1"}),
        Assets({"other.js" if n == "alone.js" else n: t for n, t in FILES.items()}),
    ]
    assert len({one.digest for one in assets}) == 3
    assert Assets(FILES).digest == assets[0].digest


@pytest.mark.parametrize(
    ("name", "text", "small"),
    [
        ("a.js", "// a comment\n  a();\n\n    // another\n  b(); // goes\n", "a();\nb();\n"),
        ("a.js", "a(/ // the dividend\nb);\n", "a(/ // the dividend\nb);\n"),
        ("a.js", 'a("b; // stays"); // "so does this"\n', 'a("b; // stays"); // "so does this"\n'),
        ("a.js", "/** doc\n * more */\nf();\n", "f();\n"),
        ("a.js", "a(/** @type {A} */ (x).y); /* z */\n/* z */\n", "a((x).y); /* z */\n"),
        ("a.css", "/* all\n   of it */\na {\n  b: c;\n}\n", "a {\nb: c;\n}\n"),
        ("a.html", "<pre>\n  // as it is\n</pre>\n", "<pre>\n  // as it is\n</pre>\n"),
    ],
)
def test_comments_are_left_out_where_nothing_else_can_be_meant(name: str, text: str, small: str) -> None:
    assert text_of(Assets({name: text}), name) == small


def test_each_coding_holds_the_same() -> None:
    bodies = Assets(FILES).files["deep/a.js"].bodies
    assert list(bodies) == ["br", "gzip", "identity"]
    assert gzip.decompress(bodies["gzip"]) == bytes(cramjam.brotli.decompress(bodies["br"])) == bodies["identity"]


def test_the_viewer_is_read_once() -> None:
    assert viewer_assets() is viewer_assets()


def test_all_that_the_pages_refer_to_is_there() -> None:
    files = viewer_assets().files
    assert {"view.html", "index.html", "client.js", "element.js"} <= files.keys()
    for name in ("view.html", "index.html"):
        references = re.findall(r'(?:href|src)="([^"]*)"', text_of(viewer_assets(), name))
        named = [reference.removeprefix(f"view/{viewer_assets().digest}/") for reference in references]
        assert set(named) - files.keys() <= {"data:,"}
        assert not set(references) & files.keys()


@pytest.mark.parametrize("path", sorted(VIEWER.rglob("*.js")), ids=lambda path: path.name)
def test_no_text_goes_over_several_lines_where_its_indentation_would_be_lost(path: str) -> None:
    lines = viewer_assets().files[str(path).removeprefix(f"{VIEWER}/")].bodies["identity"].decode().split("\n")
    assert [line for line in lines if line.replace("\\`", "").count("`") % 2] == []
