"""Numbers of tokens, amounts of money and shares, as people write them and as they are shown."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Decimal

from pytest_llm_usage.errors import ConfigurationError
from pytest_llm_usage.money import EXACT, normal
from pytest_llm_usage.text import quoted

__all__ = ["parse_count", "parse_share", "parse_usd", "shown_share", "shown_usd"]

# Compiled when they are first used, not at every start of pytest.
_COUNT = r"([0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?\s*([kKmM]?)"
#: No limit has more digits before or after the decimal point. Numbers of thousands of digits cannot be shown.
_MOST_DIGITS = 40
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_SHARE = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%)?"
#: How Python writes a small number, and so pytest one of a TOML file: 0.00005 is `5e-05`.
_SMALL_USD = r"[0-9](?:\.[0-9]+)?e-[0-9]{2}"
_USD = r"\$?\s*([0-9]{1,3}(?:_[0-9]{3})+|[0-9]+|(?=\.[0-9]))(\.[0-9]+)?\s*(?:USD)?"


def parse_count(value: object, unit: str) -> int:
    """A number of `unit` (`tokens`, `calls`) as people write it: `5000`, `5_000`, `5k`, `1.5M`.

    Raises:
        ConfigurationError: It is not such a number; the message has examples.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS:
        return value
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and (match := re.fullmatch(_COUNT, value.strip())):
        whole, fraction, suffix = match.groups()
        exact = EXACT.multiply(Decimal(f"{whole}.{fraction or 0}"), _SCALE[suffix.lower()])
        if exact == exact.to_integral_value():
            return int(exact)
    raise ConfigurationError(f"{quoted(value)} is not a number of {unit} (examples: 5000, 5_000, 5k, 1.5M)")


def parse_usd(value: object) -> Decimal:
    """An amount in USD as people write it: `0.02`, `$0.02`, `1_000`, a Decimal or an int.

    Raises:
        ConfigurationError: It is not an amount. A float is refused because it is not what was written (0.1 is not
            1/10).
    """
    if isinstance(value, Decimal) and value.is_finite() and value >= 0 and _is_short(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_MOST_DIGITS:
        return Decimal(value)
    if isinstance(value, float) and 0 <= value < float("inf"):
        raise ConfigurationError(
            f"{value!r} is a float, which is not exact: write it as text, '{Decimal(str(value)):f}'"
        )
    if isinstance(value, str) and re.fullmatch(_SMALL_USD, value.strip()) and _is_short(amount := Decimal(value)):
        return amount
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and (match := re.fullmatch(_USD, value.strip())):
        whole, fraction = match.groups()
        return Decimal(f"{whole or 0}{fraction or ''}")
    raise ConfigurationError(f"{quoted(value)} is not an amount in USD (examples: 0.02, $0.02, 1_000)")


def parse_share(value: object) -> Decimal:
    """A share as people write it: `0.6`, `60 %`.

    Raises:
        ConfigurationError: It is not a share, or not between 0 and 1.
    """
    text = quoted(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, float | Decimal):
        text = str(value)
    if isinstance(text, str) and len(text) <= _MOST_DIGITS and (match := re.fullmatch(_SHARE, text.strip())):
        share = EXACT.divide(Decimal(match[1]), 100) if match[2] else Decimal(match[1])
        if share <= 1:
            return share
    raise ConfigurationError(f"{quoted(value)} is not a share between 0 and 1 (examples: 0.6, 60 %)")


def _is_short(amount: Decimal) -> bool:
    """Whether an amount can be shown in full."""
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_MOST_DIGITS and amount.adjusted() < _MOST_DIGITS


def shown_share(share: int | Decimal) -> str:
    """A share to a hundredth of a per cent, rounded down, so that a missed share never shows as reached."""
    return f"{normal(EXACT.multiply(Decimal(share), 100).quantize(Decimal('0.01'), ROUND_DOWN)):f} %"


def shown_usd(amount: int | Decimal) -> str:
    return f"{normal(Decimal(amount)):,f}"
