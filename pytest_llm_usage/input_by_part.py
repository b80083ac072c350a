"""`InputByPart`: what the input of a call is made of, in tokens that add up to the provider's count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from pytest_llm_usage.money import plain

__all__ = ["PARTS", "InputByPart", "InputPart", "apportioned"]

#: ``system``: instructions. ``tools``: schemas. ``history``: earlier messages of the user and all of the model's.
#: ``tool_results``: what tools returned. ``user``: the user's last message. ``other``: response formats and the like.
InputPart: TypeAlias = Literal["system", "tools", "history", "tool_results", "user", "images", "files", "other"]
PARTS: tuple[InputPart, ...] = get_args(InputPart)

_NO_TOOLS: Mapping[str, int] = MappingProxyType({})


class InputByPart(Mapping[str, int]):
    """The input tokens by part: every part of `PARTS`, 0 where the request has none of it. Values add up.

    The sum is the provider's exact count; the shares are estimates, and print with a `~`.

    Attributes:
        tools_by_name: The tokens of `tools` by the tool's name; they add up to that part.
        cost_usd: What the whole input cost; None where nobody looked it up.
        estimated_by: What the shares were counted with: a tokenizer's encoding (`o200k_base`) or `characters`; several
            are separated by a comma.
    """

    __slots__ = ("_tokens", "cost_usd", "estimated_by", "tools_by_name")

    def __init__(
        self,
        tokens: Mapping[str, int],
        tools_by_name: Mapping[str, int] = _NO_TOOLS,
        estimated_by: str = "",
        cost_usd: Decimal | None = None,
    ) -> None:
        self._tokens = {part: tokens.get(part, 0) for part in PARTS}
        self.tools_by_name: Mapping[str, int] = MappingProxyType(dict(tools_by_name))
        self.estimated_by = estimated_by
        self.cost_usd = cost_usd

    @property
    def total(self) -> int:
        """The provider's count of input tokens; exact."""
        return sum(self._tokens.values())

    def __getitem__(self, part: str) -> int:
        """The tokens of a part."""
        if part not in self._tokens:
            raise KeyError(f"{part!r} is not a part of the input (parts: {', '.join(PARTS)})")
        return self._tokens[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __add__(self, other: InputByPart) -> InputByPart:
        if not isinstance(other, InputByPart):
            return NotImplemented
        tools = {
            name: self.tools_by_name.get(name, 0) + other.tools_by_name.get(name, 0)
            for name in (*self.tools_by_name, *other.tools_by_name)
        }
        counters = dict.fromkeys(
            counter for each in (self, other) for counter in each.estimated_by.split(", ") if counter
        )
        return InputByPart({part: self[part] + other[part] for part in PARTS}, tools, ", ".join(counters))

    def __str__(self) -> str:
        return ", ".join(f"{part.replace('_', ' ')} ~{n:,}" for part, n in self.items() if n) or "no input"

    def __repr__(self) -> str:
        return f"InputByPart({self})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data: the parts that are not 0, the tools by name, and what estimated them."""
        data: dict[str, Any] = {"tokens": {part: n for part, n in self.items() if n}}
        if self.tools_by_name:
            data["tools_by_name"] = dict(self.tools_by_name)
        if self.cost_usd is not None:
            data["cost_usd"] = plain(self.cost_usd)
        return data | {"estimated_by": self.estimated_by}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InputByPart:
        """The inverse of `to_dict`."""
        cost_usd = Decimal(data["cost_usd"]) if "cost_usd" in data else None
        return cls(data["tokens"], data.get("tools_by_name", _NO_TOOLS), data["estimated_by"], cost_usd)


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split in proportion to `weights`, into whole numbers that add up to it (largest remainder).

    If no weight is above 0, all shares are 0.
    """
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in remainders[: total - sum(shares)]:
        shares[index] += 1
    return shares
