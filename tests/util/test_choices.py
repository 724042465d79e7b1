"""The message for a name that is not on the list."""

from __future__ import annotations

import pytest

from vidbg.errors import ConfigError
from vidbg.util.choices import check_choice, closest, refusal

FRUIT = ["apple", "Pear", "plum"]


@pytest.mark.parametrize(
    ("value", "close"),
    [("aple", "apple"), ("PEAR", "Pear"), ("pearr", "Pear"), ("kiwi", None), ("", None)],
)
def test_the_closest_word_is_found_regardless_of_case(value: str, close: str | None) -> None:
    assert closest(value, FRUIT) == close


def test_a_refusal_suggests_and_lists() -> None:
    assert refusal("fruit", "plumb", FRUIT) == (
        "unknown fruit 'plumb'; did you mean 'plum'? choose from apple, Pear, plum"
    )
    assert refusal("fruit", "kiwi", FRUIT) == "unknown fruit 'kiwi'; choose from apple, Pear, plum"


def test_only_words_of_the_list_pass() -> None:
    check_choice("fruit", "plum", FRUIT)
    with pytest.raises(ConfigError, match="unknown fruit 'pear'"):
        check_choice("fruit", "pear", FRUIT)
    for wrong in (None, 3):
        with pytest.raises(ConfigError, match=f"fruit is {wrong}; it must be one of apple"):
            check_choice("fruit", wrong, FRUIT)
    with pytest.raises(ConfigError, match="fruit is of the type list; it must be one of"):
        check_choice("fruit", ["plum"], FRUIT)
