"""Accounts that are as another one: what its stack and its users are, copied to each under the account's own names and ids.

A stack of roles takes some fifteen judged calls to make; a copy of it takes none, which is what lets hundreds of accounts be there
at a start. The account that is copied was made by calls.

Not here: which accounts there are (``accounts``).
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from moto.iam.models import iam_backends
from moto.iam.utils import random_policy_id, random_role_id

from crossaccount_sandbox.cloudformation.records import Stacks
from crossaccount_sandbox.cloudformation.templates import Template

# Of a stack, an event; not of a key, which is the producer's: every account's roles name that one.
_UUID = r"(?<!:key/)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Likeness:
    """What an account has, ready to be copied: its stacks, and IAM's roles, users and managed policies; of no user the keys.

    Args:
        account: the 12 digits of the account that is copied.
        stacks: those of the sandbox; the copies are put there.
        texts: what it calls its own beside its number, such as a parameter's value: another account has its own in their place.
    """

    def __init__(self, account: str, stacks: Stacks, texts: tuple[str, ...]) -> None:
        """Take the account as it is now."""
        held = iam_backends[account]["aws"]
        self._stacks, self._texts = stacks, (account, *texts)
        self._ids: dict[str, Callable[[str], str]] = {
            **{role.id: random_role_id for role in held.roles.values()},
            **{user.id: lambda _: f"AIDA{random_policy_id()[:17]}" for user in held.users.values()},
            **{policy.id: lambda _: random_policy_id() for policy in held.managed_policies.values()},
        }
        own = "|".join(map(re.escape, sorted((*self._texts, *self._ids), key=len, reverse=True)))
        self._varies = re.compile(f"{own}|{_UUID}")
        self._shared: list[Template] = []
        parts = (
            [stack for stack in stacks.stacks if stack.place[0] == account],
            held.roles,
            held.users,
            held.managed_policies,
        )
        written = io.BytesIO()
        _Writer(written, self._varies, self._shared).dump(parts)
        self._written = written.getvalue()

    def copy_to(self, account: str, texts: tuple[str, ...]) -> None:
        """Give another account the same; its users get one new access key each.

        Args:
            account: its 12 digits; it has nothing that is named alike.
            texts: its own, in the order of those of the account that is copied.
        """
        own = dict(zip(self._texts, (account, *texts), strict=True))
        own |= {held: make(account) for held, make in self._ids.items()}
        read = _Reader(io.BytesIO(self._written), self._varies, self._shared, own)
        stacks, roles, users, policies = read.load()
        held = iam_backends[account]["aws"]
        held.roles |= roles
        held.managed_policies |= policies
        for name, user in users.items():
            user.access_keys = []
            held.users[name] = user
            held.create_access_key(name)
        with self._stacks.lock:
            self._stacks.stacks += stacks


class _Writer(pickle.Pickler):
    """Writes what varies between accounts, and what they share, apart from the rest."""

    def __init__(self, file: io.BytesIO, varies: re.Pattern[str], shared: list[Template]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._varies, self._shared = varies, shared

    def persistent_id(self, obj: Any) -> tuple[str, Any] | None:
        """A text that varies as itself, a template by its place among those shared; None for anything else."""
        if isinstance(obj, Template):
            self._shared.append(obj)
            return "shared", len(self._shared) - 1
        if type(obj) is str and self._varies.search(obj):
            return "text", obj.encode()
        return None


class _Reader(pickle.Unpickler):
    """Reads it for one account; a UUID is another in each, and the same wherever the account has it.

    What is read was written by this process.
    """

    def __init__(
        self, file: io.BytesIO, varies: re.Pattern[str], shared: list[Template], own: Mapping[str, str]
    ) -> None:
        super().__init__(file)
        self._varies, self._shared, self._own = varies, shared, dict(own)

    def persistent_load(self, pid: Any) -> Any:
        """What ``persistent_id`` set apart, as this account has it."""
        kind, held = pid
        if kind == "shared":
            return self._shared[held]
        return self._varies.sub(self._named, held.decode())

    def _named(self, match: re.Match[str]) -> str:
        if match[0] not in self._own:
            self._own[match[0]] = str(uuid4())
        return self._own[match[0]]
