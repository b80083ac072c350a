"""The form of a usage, and how amounts in it are read, added and written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import normal

#: The form of `LLMUsage.to_dict()`.
Usage: TypeAlias = Mapping[str, Mapping[str, Any]]
Number: TypeAlias = int | Decimal
#: None is unknown; text is what a snapshot's `matcher=` put in a number's place.
Value: TypeAlias = Number | str | None

#: The numbers of a model, in the order of the files.
FIELDS = ("calls", "calls_without_usage", "input_tokens", "output_tokens", "total_tokens", "cost_usd")
TOKEN_FIELDS = ("input_tokens", "output_tokens", "total_tokens")
#: Mappings of details → the count that they are parts of.
DETAILS = {"input_token_details": "input", "output_token_details": "output"}
#: The mapping of billed items: searches and the like.
ITEMS = "billed_items"
#: Where the price of the cost comes from; shown, not compared.
PRICE_FROM = "price_from"
#: The mapping of the input by part, estimated: tokens by part, `tools_by_name`, and `estimated_by`.
PARTS = "input_by_part"
#: `$`, the number, `%`.
AMOUNT = r"(\$?)(\d+(?:\.\d+)?|\.\d+)(%?)"


def check_unit(part: str, name: str, *, dollar: bool, share: bool) -> None:
    """Refuses `part` where its unit does not fit what `name` counts."""
    if dollar and share:
        raise ConfigurationError(f"{part!r} has two units, $ and %: write one")
    if dollar != (name == "cost") and not share:
        unit = "an amount in USD (cost:$0.01)" if name == "cost" else f"a number ({name}:20)"
        raise ConfigurationError(f"{part!r}: {name} takes {unit} or a share ({name}:5%)")


def number(value: Any) -> Value:
    """A number of a usage; anything else as text."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return str(value)
    return amount if amount.is_finite() else str(value)


def plain(amount: Decimal) -> str:
    """An amount in full, with thousands separators and no trailing zeros."""
    return f"{normal(amount):,f}"
