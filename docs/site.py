"""The documentation site's pages from outside docs/, and links as the site needs them: hooks of MkDocs.

README and its kind stay where people look for them in a checkout. A link to a file that is no page becomes the file's name.

Source: "Hooks" and "Events" in the MkDocs user guide.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "crossaccount_sandbox/README.md": "sandbox-readme.md",
}
# What a program calls, in the order of a share and a deployment.
LIBRARY = {
    "Read a config": ["crossaccount.config.loading.load_config"],
    "Run what the commands run": [
        "flows.producer.share_models",
        "flows.producer.revoke_access",
        "flows.audit.check_access",
        "flows.consumer.deploy_model",
        "flows.promotion.promote_model",
        "flows.promotion.rollback_model",
        "flows.reaper.reap_leftovers",
    ],
    "Plan, and look at a plan": [
        "crossaccount.sharing.gather.make_plan",
        "crossaccount.sharing.revoke.choose",
        "crossaccount.sharing.revoke.make_plan",
        "crossaccount.sharing.changes.Plan",
        "crossaccount.show.plans.text",
    ],
    "Errors": ["crossaccount.errors"],
}
INTRODUCTION = """# From Python

The flows are functions: called from Python, they run on the Prefect server that `PREFECT_API_URL` names, give back plain data, and
raise what `crossaccount.errors` has. What is not listed here may change in any version.
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside docs/, and that of the library."""
    for source, page in BESIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    parts = [
        f"## {title}\n\n" + "\n".join(f"::: {name}\n" for name in names) for title, names in LIBRARY.items()
    ]
    files.append(File.generated(config, "library.md", content="\n".join([INTRODUCTION, *parts])))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links within the repository into links within the site."""
    origin = {site: source for source, site in BESIDE.items()}.get(
        page.file.src_uri, f"docs/{page.file.src_uri}"
    )

    def rewritten(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        place = BESIDE.get(name) or (name.removeprefix("docs/") if name.startswith("docs/") else None)
        return f"{text}({place}{anchor})" if place else f"{text[1:-1].removeprefix('[')} (`{name}`)"

    return re.sub(r"(\[[^\]]*\])\(([^)#\s]+)(#[^)]*)?\)", rewritten, markdown)


# What a browser fetches by itself; a link that a reader may follow is none of it.
_FETCHED = re.compile(
    r"""<(?:img|script|iframe|source)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\bhref="(?:https?:)?//|url\((?:https?:)?//"""
)


def on_post_build(config: Any) -> None:
    """See that no page fetches anything from elsewhere: whoever reads it tells nobody.

    Raises:
        PluginError: when one does.
    """
    for page in Path(config["site_dir"]).rglob("*.html"):
        found = _FETCHED.search(re.sub(r'<link rel="canonical"[^>]*>', "", page.read_text()))
        if found:
            raise PluginError(f"{page.name} fetches something from elsewhere: {found[0]}")
