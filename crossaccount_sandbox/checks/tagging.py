"""The condition keys of the tags that a request gives or takes, and of the action that gives them while it creates.

Not here: the tags that a resource already carries (``resource_keys``).

Source: "Controlling access to AWS resources using tags" in the IAM user guide; "Add tags: the action that is asked beside
the one that creates" in the Service Authorization Reference of each service.
"""

from collections.abc import Iterable, Mapping
from typing import Any


def request_tags(tags: object) -> dict[str, Any]:
    """``aws:RequestTag/KEY`` and ``aws:TagKeys`` of a request's tags; nothing where it gives none.

    Args:
        tags: a list of ``{"Key", "Value"}`` (``{"TagKey", "TagValue"}`` in KMS), or a mapping of keys to values.
    """
    if not tags:
        return {}
    pairs = list(tags.items()) if isinstance(tags, Mapping) else [_pair(tag) for tag in _listed(tags)]
    return {f"aws:RequestTag/{key}": value for key, value in pairs} | tag_keys(key for key, _ in pairs)


def tag_keys(keys: object) -> dict[str, Any]:
    """``aws:TagKeys`` of the keys that a request names; nothing where it names none."""
    listed = [str(key) for key in _listed(keys)]
    return {"aws:TagKeys": listed} if listed else {}


def _listed(values: object) -> Iterable[Any]:
    return values if isinstance(values, Iterable) else ()


def _pair(tag: Mapping[str, Any]) -> tuple[str, str]:
    return str(tag.get("Key", tag.get("TagKey", ""))), str(tag.get("Value", tag.get("TagValue", "")))
