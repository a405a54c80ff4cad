from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import cramjam
import pytest

from handlers.assets import JOINED, VIEWER, Assets, viewer_assets

if TYPE_CHECKING:
    from pathlib import Path

NODE = shutil.which("node")
# Modules that are imported for what they do, and not for what they export.
SCRIPTS = {*JOINED, "embedding.js"}

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
    assert re.search(r"const (\w)=1", script)
    assert "import" not in script


def test_another_byte_in_any_file_is_another_digest() -> None:
    assets = [
        Assets(FILES),
        Assets(FILES | {"alone.js": "1"}),
        Assets({"other.js" if n == "alone.js" else n: t for n, t in FILES.items()}),
    ]
    assert len({one.digest for one in assets}) == 3
    assert Assets(FILES).digest == assets[0].digest


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


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_modules_export_the_same_minified_or_not(tmp_path: Path) -> None:
    assert NODE is not None
    names = [path.relative_to(VIEWER).as_posix() for path in VIEWER.rglob("*.js") if path.name not in SCRIPTS]
    for name in names:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text_of(viewer_assets(), name))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    script = (
        "const names = async (path) => Object.keys(await import(path));"
        "const [folders, files] = JSON.parse(process.argv[1]);"
        "const of = (folder) => Promise.all(files.map(async (file) => [file, await names(`${folder}/${file}`)]));"
        "console.log(JSON.stringify(await Promise.all(folders.map(of))));"
    )
    arguments = [NODE, "--input-type=module", "--eval", script, json.dumps([[str(VIEWER), str(tmp_path)], names])]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=30)
    sources, minified = json.loads(done.stdout)
    assert minified == sources
    assert ["client.js", ["LogurtError", "logurt", "sources"]] in minified
