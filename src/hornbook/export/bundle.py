"""The page as one file: the modules of `hornbook/web` joined into one inline script.

A module becomes a function that returns what it exports, in the order of the imports; nothing else of
it changes, so that the script in the page is as readable as its source.

    import { add } from "./layers.js";        ->  const { add } = $layers;
    export function rmsNorm(...) { ... }      ->  function rmsNorm(...) { ... }
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePosixPath

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[\w/.]+)";\n', re.M)
EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const) (\w+)", re.M)
STYLE_LINK = '<link rel="stylesheet" href="page.css">'
SCRIPT_LINK = '<script type="module" src="file.js"></script>'
POLICY_MARK = "<!-- content security policy -->"


def web_file(name: str) -> str:
    """A file of `hornbook/web`."""
    return resources.files("hornbook").joinpath("web", *name.split("/")).read_text("utf-8")


def bundle(entry: str) -> str:
    """The modules that `entry` imports, and itself last, as one script.

    What a module `a/b.js` exports is in `$a_b` afterwards.
    """
    pieces: dict[str, str] = {}

    def place(name: str) -> None:
        if name in pieces:
            return
        source = web_file(name)
        folder = PurePosixPath(name).parent
        for _, path in IMPORT.findall(source):
            place(_resolved(folder, path))
        pieces[name] = _as_function(name, source)

    place(entry)
    return "\n".join(pieces.values())


def _resolved(folder: PurePosixPath, path: str) -> str:
    parts = list(folder.parts)
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _variable(name: str) -> str:
    return "$" + name.removesuffix(".js").replace("/", "_")


def _as_function(name: str, source: str) -> str:
    """A module as a function called at once; one without exports as it is: it comes last."""
    folder = PurePosixPath(name).parent
    source, exported = (
        IMPORT.sub(
            lambda found: (
                f"const {{{found[1].replace(' as ', ': ')}}} = "
                f"{_variable(_resolved(folder, found[2]))};\n"
            ),
            source,
        ),
        EXPORT.findall(source),
    )
    source = re.sub(r"^export ", "", source, flags=re.M)
    if re.search(r"^import\b", source, re.M):
        raise AssertionError(f"{name}: an import of another form than `import {{ a }} from`")
    if not exported:
        return f"// {name}\n{source}"
    return (
        f"// {name}\nconst {_variable(name)} = (() => {{\n{source}"
        f"return {{ {', '.join(exported)} }};\n}})();\n"
    )


def page(blocks: Mapping[str, tuple[str, str]]) -> str:
    """The page as one file of HTML. blocks: id -> (type, text) of what it reads, as data.

    Nothing in it reaches the network: its content security policy allows the style and the script that
    are in it, by their hashes, and nothing else. A text must not hold `<`, which could end its block.
    """
    style, script = web_file("page.css"), bundle("file.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)} 'wasm-unsafe-eval'; "
        f"style-src {_hash(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    data = []
    for name, (kind, text) in blocks.items():
        if "<" in text or "</" in script or "</" in style:
            raise AssertionError(f"{name}: a block that could end early")
        data.append(f'<script type="{kind}" id="{name}">{text}</script>\n')
    html = web_file("page.html")
    for mark, text in {
        POLICY_MARK: f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        STYLE_LINK: f"<style>{style}</style>",
        SCRIPT_LINK: f'{"".join(data)}<script type="module">{script}</script>',
    }.items():
        if html.count(mark) != 1:
            raise AssertionError(f"page.html: expected {mark} once")
        html = html.replace(mark, text)
    return html


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
