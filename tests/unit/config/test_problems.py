"""Problems of a provider's section, which is validated by a model of its own."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from torchref_kinetic_plugin.config import ConfigError, Problem, validation_problems
from torchref_kinetic_plugin.errors import InputError, ParameterError, closest_match

Number = Annotated[float, Strict()]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: Number | dict[str, Number] = 0.0


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scheme: str
    shared: list[str] | Literal["all"] = []
    inner: Inner = Inner()
    experiments: dict[str, Inner] = {}
    pair: Annotated[list[str], Field(min_length=2, max_length=2)] = ["a", "b"]
    missing: Number | list[Number] = 0.0
    optional: Inner | None = None


@pytest.mark.parametrize(
    ("section", "place", "message"),
    [
        ({}, "scheme", "is missing"),
        (
            {"scheme": "A", "shard": []},
            "shard",
            "unknown key 'shard' (did you mean 'shared'?); "
            "allowed: scheme, shared, inner, experiments, pair, missing, optional",
        ),
        (
            {"scheme": "A", "inner": {"wight": 1.0}},
            "inner.wight",
            "unknown key 'wight' (did you mean 'weight'?); allowed: weight",
        ),
        (
            {"scheme": "A", "optional": {"wight": 1.0}},
            "optional.wight",
            "unknown key 'wight' (did you mean 'weight'?); allowed: weight",
        ),
        (
            {"scheme": "A", "experiments": {"298K": {"wight": 1.0}}},
            "experiments.298K.wight",
            "unknown key 'wight' (did you mean 'weight'?); allowed: weight",
        ),
        ({"scheme": "A", "shared": 3}, "shared", "3: a list is wanted, e.g. [...]; or 3 is not one of all"),
        (
            {"scheme": "A", "missing": "x"},
            "missing",
            "'x': a number is wanted; or 'x': a list is wanted, e.g. [...]",
        ),
        ({"scheme": "A", "pair": ["a"]}, "pair", "the number of entries is 1; at least 2 is wanted"),
        ({"scheme": "A", "pair": ["a"] * 3}, "pair", "the number of entries is 3; at most 2 is wanted"),
        ({"scheme": True}, "scheme", "true: text in quotes is wanted"),
        ({"scheme": ["A->B"] * 20}, "scheme", f"{repr(['A->B'] * 20)[:56]} ...: text in quotes is wanted"),
    ],
)
def test_places_and_words(section, place, message):
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(section)
    found = validation_problems(caught.value, ("provider",), Settings)
    assert found == [Problem(f"provider.{place}", message)]


def test_every_kind_of_pydantics_errors_that_toml_can_cause_is_put_in_plain_words():
    class Everything(BaseModel):
        text: str
        number: Number
        whole: Annotated[int, Strict()]
        flag: Annotated[bool, Strict()]
        entries: list[str]
        pair: tuple[str, str]
        table: dict[str, str]
        part: Inner

    for value in ("x", 1, 1.5, float("nan"), True, [], {}, [1], {"a": 1}):
        try:
            Everything.model_validate(dict.fromkeys(Everything.model_fields, value))
        except ValidationError as error:
            for problem in validation_problems(error, model=Everything):
                assert "Input should" not in problem.message
                assert "valid" not in problem.message


def test_errors_of_this_package_are_passed_on_word_for_word():
    class Refusing(BaseModel):
        value: int

        def model_post_init(self, _context: object) -> None:
            raise ParameterError("this rate is out of the question")

    with pytest.raises(ValidationError) as caught:
        Refusing(value=1)
    assert validation_problems(caught.value, ("kinetics",)) == [Problem("kinetics", "this rate is out of the question")]


def test_the_message_lists_every_problem_on_a_line_of_its_own():
    one, two = Problem("refinement.d_min", "is missing"), Problem("", "unknown section 'x'")
    error = ConfigError("'a.toml'", [one, two])
    assert str(error) == "'a.toml': 2 problems:\n  refinement.d_min: is missing\n  unknown section 'x'"
    assert error.problems == (one, two)
    assert isinstance(error, InputError)
    assert str(ConfigError("'a.toml'", [one])) == "'a.toml':\n  refinement.d_min: is missing"


def test_closest_matches_ignore_case():
    assert closest_match("dmin", ["D_min"]) == " (did you mean 'D_min'?)"
