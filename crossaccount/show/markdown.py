"""Markdown for a Prefect artifact: a refusal, and text of others where it can do no harm. Not here: a plan (``plans``)."""

from crossaccount.errors import Refusal
from crossaccount.text import harmless


def refusal(refused: Refusal) -> str:
    """A refusal for a Prefect artifact: the door and its owner, the attempt, the causes ruled out, and the next step."""
    denial = refused.denied_by
    rows = {
        "door": f"{refused.door} of account {refused.account}",
        **({"denied by": f"{denial.kind} {denial.arn}".rstrip()} if denial else {}),
        "who": f"`{refused.caller}`",
        "action": f"`{refused.action}`",
        "resource": f"`{refused.resource}`",
        "ruled out": "; ".join(refused.ruled_out) or "nothing",
        "AWS said": code(f"{refused.aws_code}: {refused.aws_message}", 2000),
    }
    table = [f"| {name} | {cell(value)} |" for name, value in rows.items()]
    return "\n".join([f"**{refused.next_step}**", "", "| refused | |", "|---|---|", *table])


def cell(text: str, limit: int = 2000) -> str:
    """Text of others for a cell of a table: in one line, cut to so many characters, with nothing that ends the cell."""
    line = " ".join(harmless(text).split())
    return (line if len(line) <= limit else f"{line[:limit]}...").replace("|", "\\|")


def code(text: str, limit: int = 300) -> str:
    """The same as code, where no link, picture or tag of others comes to life."""
    quoted = cell(text, limit).replace("`", "'")
    return f"`{quoted}`"


_ROOM = 36  # characters of code that a column of a table has room for: the UI's pages are 65 characters wide


def wrapped(name: str) -> str:
    """A name or an ARN as code, over several lines where it is long: Prefect's UI breaks no word, and prints it over what is beside it."""
    lines, rest = list[str](), cell(name)
    while len(rest) > _ROOM:
        ends = [rest.rfind(sign, 0, _ROOM) + 1 for sign in "/:-_."]
        end = next((end for end in ends[:2] if end > _ROOM // 3), max(ends)) or _ROOM
        lines.append(rest[:end])
        rest = rest[end:]
    return "<br>".join(code(line) for line in [*lines, rest] if line) or code(name)
