"""What an update has done so far, and what was there before it, for the way back.

Not here: the way itself (``deployment``).
"""

from __future__ import annotations

from crossaccount_sandbox.cloudformation.records import Resource, Stack


class Before:
    """What a stack was before an update."""

    def __init__(self, stack: Stack) -> None:
        """Keep what the stack is now."""
        self.resources = dict(stack.resources)
        self._kept = {
            name: getattr(stack, name)
            for name in (
                "template",
                "values",
                "tags",
                "capabilities",
                "notified",
                "rollback",
                "outputs",
                "imported",
            )
        }

    def restore(self, stack: Stack) -> None:
        """Make the stack what it was, its resources excepted."""
        for name, value in self._kept.items():
            setattr(stack, name, value)
        stack.resources = self.resources


class Steps:
    """What an update has done so far."""

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.made: list[Resource] = []
        self.touched: list[tuple[Resource, Resource]] = []
        self.replaced: list[Resource] = []


def in_order(resources: list[Resource]) -> list[Resource]:
    """Resources in the order in which they were made: each after what it depends on."""
    names = {resource.logical_id for resource in resources}
    order: list[Resource] = []
    while len(order) < len(resources):
        placed = {resource.logical_id for resource in order}
        order += [
            resource
            for resource in resources
            if resource not in order and set(resource.depends) & names <= placed
        ]
    return order
