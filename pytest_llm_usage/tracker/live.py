"""The error of a call that would leave this machine where that is not allowed."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["live_text"]


def live_text(url: str, where: str | None) -> str:
    """Why a call was stopped that would have left this machine."""
    address = urlsplit(url)
    return "\n".join(
        (
            f"live model call stopped: {address.hostname}{address.path} (--llm-usage-live=fail)",
            *((f"  {where}",) if where else ()),
            "Request the fixture llm_usage and record it:  pytest --llm-usage-record=once --llm-usage-live=allow",
        )
    )
