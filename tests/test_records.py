"""`Record`: what a start of pytest declares in the place of dataclasses."""

from functools import cached_property

import pytest

from pytest_llm_usage.records import Record


class Price(Record):
    model: str
    per_token: int = 2
    rounded: object = round


def test_fields_are_taken_in_their_order_or_by_name():
    assert Price("gpt", 3) == Price(model="gpt", per_token=3)
    assert Price("gpt") != Price("gpt", 3)
    assert Price("gpt").per_token == 2
    assert repr(Price(rounded=None, model="gpt")) == "Price(model='gpt', per_token=2, rounded=None)"


def test_a_function_as_a_default_is_a_value_and_no_method():
    assert Price("gpt").rounded is round


def test_a_record_has_the_fields_of_its_own_class():
    class Other(Record):
        name: str

    assert Price.field_names == ("model", "per_token", "rounded")
    assert Other.field_names == ("name",)
    assert vars(Other("a")) == {"name": "a"}


@pytest.mark.parametrize(
    ("values", "wrong"), [({}, "model"), ({"model": "gpt", "tokens": 1}, "tokens"), ({"tokens": 1}, "model, tokens")]
)
def test_a_missing_and_an_unknown_field_are_named(values, wrong):
    with pytest.raises(TypeError, match=rf"^Price: missing or not a field: {wrong}$"):
        Price(**values)


def test_more_values_than_fields_are_an_error():
    with pytest.raises(TypeError, match="Price takes 3 values, not 4"):
        Price("gpt", 2, None, None)


def test_a_field_cannot_be_set_again():
    price = Price("gpt")

    with pytest.raises(AttributeError, match=r"^Price\.model cannot be set$"):
        price.model = "other"
    assert price.model == "gpt"


def test_replace_leaves_the_record_as_it_was():
    price = Price("gpt")

    assert price.replace(per_token=5) == Price("gpt", 5)
    assert price.per_token == 2


def test_a_cached_property_is_no_field():
    class Named(Record):
        name: str

        @cached_property
        def short(self):
            return self.name[:1]

    asked = Named("gpt")

    assert asked.short == "g"
    assert asked == Named("gpt")
    assert asked.replace(name="opus").short == "o"


def test_records_of_two_classes_differ():
    class Other(Record):
        model: str
        per_token: int = 2
        rounded: object = round

    assert Price("gpt") != Other("gpt")
    assert Price("gpt") != "gpt"


def test_equal_records_are_one_key():
    assert {Price("gpt"): 1, Price(model="gpt"): 2} == {Price("gpt"): 2}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Price("gpt", rounded={}))
