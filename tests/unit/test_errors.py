import pytest

from torchref_kinetic_plugin import errors


def test_unknown_name_says_what_where_closest_and_allowed():
    error = errors.UnknownNameError("transition", "A->b", ["A->B", "B->C"], "rate_constants")
    assert str(error) == "unknown transition 'A->b' in rate_constants (did you mean 'A->B'?); allowed: A->B, B->C"


def test_no_closest_match_where_nothing_is_close():
    assert errors.closest_match("xyz", ["A->B"]) == ""
    assert errors.listing([]) == "none is allowed here"


@pytest.mark.parametrize(
    "kind",
    [
        errors.FlowChartError,
        errors.UnitError,
        errors.ParameterError,
        errors.TimeError,
        errors.MappingError,
        errors.ShapeError,
        errors.StateError,
        errors.FileError,
        errors.LockedError,
        errors.NotWrittenError,
    ],
)
def test_what_a_user_can_mend_is_an_input_error_and_a_value_error(kind):
    assert issubclass(kind, errors.InputError)
    assert issubclass(kind, ValueError)
