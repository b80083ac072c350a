"""`Sale`: who sold what, when and on which terms, in one spelling.

A call is read once, here. Everything below works on the sale and never on a provider's own words.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pytest_llm_usage.billing import Part
from pytest_llm_usage.errors import NoPriceError
from pytest_llm_usage.ledger import UNKNOWN_MODEL, Call
from pytest_llm_usage.pricing.billing_rules import (
    BILLED_AS_REQUESTED,
    ROUTERS,
    STANDARD_MODIFIERS,
    provider_id_of,
    tier_of,
)

__all__ = ["Sale", "moment_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """Who sold what, when and on which terms: what a price book needs to find a price.

    Attributes:
        seller: genai-prices' id of the seller, or the seller's own name if it has no id; None if no seller is named.
        named: The seller as the call names it, for messages.
        names: The names under which the model may be billed, the most likely first.
        tier: The service tier; None is the standard one.
        region: Where it was sold, in lower case; None if that is not known.
        terms: Other terms that are not the standard ones: pairs of name and value.
        moment: The moment that decides the price.
        newest: Whether the moment is unknown, so that the newest price is used.
    """

    seller: str | None
    named: str | None
    names: tuple[str, ...]
    moment: datetime
    tier: str | None = None
    region: str | None = None
    terms: tuple[tuple[str, str], ...] = ()
    newest: bool = False

    @classmethod
    def from_call(cls, call: Call) -> Sale:
        """The sale of a call, without its parts.

        Raises:
            NoPriceError: Its day is not known.
        """
        billing = call.billing
        seller = billing.seller or call.provider
        seller_id = _seller_id(call.provider, billing.seller)
        at = billing.priced_at if billing.priced_at is not None else call.started_at or time.time()
        return cls(
            seller=seller_id,
            named=seller,
            names=_names(seller_id, call.model, call.requested_model),
            tier=tier_of(billing.service_tier),
            region=(billing.region or "").strip().lower() or None,
            terms=_terms(billing.modifiers),
            moment=moment_of(at),
            newest=at == math.inf,
        )

    @property
    def place(self) -> str | None:
        """Where it was sold: the geography in the name of one of Bedrock's inference profiles, else the region."""
        geography = _GEOGRAPHY.match(self.names[0]) if self.names and self.seller == "aws" else None
        return geography["geography"] if geography else self.region

    @property
    def modifiers(self) -> dict[str, str]:
        """`terms` by name."""
        return dict(self.terms)

    @classmethod
    def from_model(cls, model: str, provider: str | None, at: float) -> Sale:
        """The sale of a model by its name alone."""
        return cls(
            seller=_seller_id(provider, None), named=provider, names=(model,) if model else (), moment=moment_of(at)
        )

    def of_part(self, part: Part) -> Sale:
        """The sale of a part of the same call: its own model, and its own terms where it has some."""
        terms = part.billing
        return replace(
            self,
            names=_known(part.model),
            tier=tier_of(terms.service_tier) if terms.service_tier else self.tier,
            region=(terms.region or "").strip().lower() or self.region,
            terms=_terms({**dict(self.terms), **terms.modifiers}),
        )

    def on_its_day(self) -> Sale:
        """The sale at the start of its day, so that all sales of a day on the same terms are equal."""
        # Written out: this runs for every call, and `replace` takes longer than everything else that a price needs.
        return Sale(
            seller=self.seller,
            named=self.named,
            names=self.names,
            moment=self.moment.replace(hour=0, minute=0, second=0, microsecond=0),
            tier=self.tier,
            region=self.region,
            terms=self.terms,
            newest=self.newest,
        )

    def named_as(self, *names: str) -> Sale:
        """The sale of a model of other names."""
        return self if names == self.names else replace(self, names=names)

    def sold_by(self, seller: str) -> Sale:
        """The sale by another seller; messages still name the call's own."""
        return replace(self, seller=provider_id_of(seller))


_GEOGRAPHY = re.compile(r"(?:.*/)?(?P<geography>us-gov|us|eu|apac|jp|au|in|ca|sa|me|af|mx|il)\.")


def _terms(modifiers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    words = ((name, str(value).strip().lower()) for name, value in sorted(modifiers.items()))
    return tuple((name, word) for name, word in words if word not in STANDARD_MODIFIERS)


def moment_of(at: float) -> datetime:
    """Seconds since the epoch as a moment; the first or last possible one if they are out of range.

    Raises:
        NoPriceError: `at` is not a number.
    """
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        if math.isnan(at):
            raise NoPriceError("the day of the call is not known") from None
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)


def _seller_id(provider: str | None, seller: str | None) -> str | None:
    if not seller:
        return provider_id_of(provider) if provider else None
    if provider and provider_id_of(provider) == "huggingface":
        # Hugging Face's router adds nothing to its providers' prices; the price book lists each under its own id.
        return f"huggingface_{seller.strip().lower()}"
    return provider_id_of(seller)


def _names(seller_id: str | None, model: str, requested_model: str | None) -> tuple[str, ...]:
    names = _known(model, requested_model)
    if seller_id in BILLED_AS_REQUESTED:
        names = names[::-1]
    return names[:1] if seller_id in ROUTERS else names


def _known(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name and name != UNKNOWN_MODEL)
