"""The rules about signatures in Go: functions and methods have one each for the same change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SignatureRules:
    """Ids of rules, by what is otherwise in a signature; ``noun`` is what such a symbol is called in texts."""

    noun: str
    to_generic: str
    type_params_changed: str
    type_params_reordered: str
    constraint_tightened: str
    constraint_loosened: str
    variadic_added: str
    slice_to_variadic: str
    variadic_to_slice: str
    param_added: str
    param_removed: str
    param_type_changed: str
    result_added: str
    result_removed: str
    result_type_changed: str


FUNCTION = SignatureRules(
    noun="func",
    to_generic="GO-FUNC-TO-GENERIC",
    type_params_changed="GO-FUNC-TYPEPARAMS-CHANGED",
    type_params_reordered="GO-FUNC-TYPEPARAMS-REORDERED",
    constraint_tightened="GO-FUNC-CONSTRAINT-TIGHTENED",
    constraint_loosened="GO-FUNC-CONSTRAINT-LOOSENED",
    variadic_added="GO-FUNC-VARIADIC-ADDED",
    slice_to_variadic="GO-FUNC-SLICE-TO-VARIADIC",
    variadic_to_slice="GO-FUNC-VARIADIC-TO-SLICE",
    param_added="GO-FUNC-PARAM-ADDED",
    param_removed="GO-FUNC-PARAM-REMOVED",
    param_type_changed="GO-FUNC-PARAM-TYPE-CHANGED",
    result_added="GO-FUNC-RESULT-ADDED",
    result_removed="GO-FUNC-RESULT-REMOVED",
    result_type_changed="GO-FUNC-RESULT-TYPE-CHANGED",
)
METHOD = SignatureRules(
    noun="method",
    to_generic="GO-METHOD-TO-GENERIC",
    type_params_changed="GO-METHOD-TYPEPARAMS-CHANGED",
    type_params_reordered="GO-METHOD-TYPEPARAMS-REORDERED",
    constraint_tightened="GO-METHOD-CONSTRAINT-TIGHTENED",
    constraint_loosened="GO-METHOD-CONSTRAINT-LOOSENED",
    variadic_added="GO-METHOD-VARIADIC-ADDED",
    slice_to_variadic="GO-METHOD-SLICE-TO-VARIADIC",
    variadic_to_slice="GO-METHOD-VARIADIC-TO-SLICE",
    param_added="GO-METHOD-PARAM-ADDED",
    param_removed="GO-METHOD-PARAM-REMOVED",
    param_type_changed="GO-METHOD-PARAM-TYPE-CHANGED",
    result_added="GO-METHOD-RESULT-ADDED",
    result_removed="GO-METHOD-RESULT-REMOVED",
    result_type_changed="GO-METHOD-RESULT-TYPE-CHANGED",
)
