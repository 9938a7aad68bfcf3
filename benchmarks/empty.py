"""A flow that does nothing: what Prefect itself takes."""

from __future__ import annotations

from prefect import flow


@flow(name="nothing", persist_result=False)
def nothing() -> None:
    """Do nothing."""
