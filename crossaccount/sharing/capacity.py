"""The room in a policy document: whether it is past its service's limit, and how many more consumers would fit.

Not here: the limits (``doors``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from crossaccount.doors import door_of
from crossaccount.errors import Finding, Severity
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience
from crossaccount.policy.documents import Document, Statement, statements
from crossaccount.sharing.changes import Change


def is_oversize(change: Change) -> bool:
    """Whether the document would be past its service's limit."""
    return (
        change.verb != "keep"
        and change.desired is not None
        and documents.size(change.desired) > door_of(change.resource.kind).limit
    )


def too_large(
    change: Change, desired: Callable[[Sequence[Audience]], Document | None], let_in: Sequence[Audience]
) -> Finding:
    """The finding of a document past its service's limit, with how many consumers would fit.

    Args:
        change: makes the document.
        desired: the document that lets some audiences in.
        let_in: the audiences that this one lets in.
    """
    limit, length = door_of(change.resource.kind).limit, documents.size(change.desired or {})
    roots = [root for audience in let_in for root in audience.roots]

    def fits(count: int) -> bool:
        document = desired(_first(let_in, count))
        return document is None or documents.size(document) <= limit

    low, high = -1, len(roots)  # the first `high` consumers never fit, the first `low` do
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    text = f"It would have {length} bytes, and AWS takes {limit}."
    if roots:
        text += f" {max(low, 0)} of the {len(roots)} consumers fit."
    taken = documents.size(change.existing) if change.existing else 0
    if taken > limit // 2:
        text += f" The document has {taken} bytes already."
    way_out = "Share with fewer consumers or versions in this config, or shorten the statements that others have put there"
    if roots:
        way_out += (
            "; with principals: organization the document does not grow with the consumers (organization.role_names then says which of "
            "their roles)"
        )
    return Finding(Severity.ERROR, f"policy of {change.resource}", text, f"{way_out}.")


def _first(let_in: Sequence[Audience], count: int) -> list[Audience]:
    """The audiences cut to their first accounts."""
    first = []
    for audience in let_in:
        roots = audience.roots[:count]
        count -= len(roots)
        accounts = {documents.account_of(root) for root in roots}
        roles = tuple(arn for arn in audience.roles if documents.account_of(arn) in accounts)
        if roots:
            first.append(replace(audience, roots=roots, roles=roles))
    return first


def room(change: Change, group: str) -> int | None:
    """The number of further consumers, like those it lets in, that fit into the document; None where it does not grow with them.

    Only the statements of the group (an ARN) grow with its consumers.
    """
    each = sum(_bytes_each(ours) for ours in statements(change.desired) if documents.is_owned(ours, group))
    if change.desired is None or not each:
        return None
    return max(0, door_of(change.resource.kind).limit - documents.size(change.desired)) // each


def _bytes_each(statement: Statement) -> int:
    """The bytes that one more account adds to a statement of ours: its root's, and those of as many roles as each has now."""
    if sources := documents.condition(statement, documents.BY_SOURCE):
        return len(f'"{sources[0]}",')
    roots = [name for name in documents.principals(statement) if name != "*"]
    if not roots:
        return 0
    roles = documents.condition(statement, documents.BY_ROLE)
    return len(f'"{roots[0]}",') + -(-sum(len(f'"{arn}",') for arn in roles) // len(roots))
