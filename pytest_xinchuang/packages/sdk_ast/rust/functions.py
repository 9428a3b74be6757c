"""What differs between two signatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
Found = tuple[str, str, str, str]


def compare_functions(label: str, before: Facts, after: Facts, *, implemented: bool = False) -> Iterator[Found]:
    """The differences that callers see; of a trait's function, those that implementers see too.

    Args:
        implemented: others may implement it, who have to have the very signature.
    """
    texts = function_text(before), function_text(after)
    if before["self"] != after["self"]:
        yield "RUST-METHOD-RECEIVER-CHANGED", label, *texts
    elif len(before["inputs"]) != len(after["inputs"]):
        yield "RUST-FN-PARAMS-CHANGED", label, *texts
    else:
        for number, (was, now) in enumerate(zip(before["inputs"], after["inputs"], strict=True)):
            if was != now:
                rule = "RUST-METHOD-RECEIVER-CHANGED" if before["self"] and not number else "RUST-FN-PARAM-TYPE-CHANGED"
                yield rule, label, was, now
    if before["result"] != after["result"]:
        if before["async"] != after["async"]:
            yield "RUST-FN-ASYNC-CHANGED", label, *texts
        else:
            yield "RUST-FN-RESULT-CHANGED", label, before["result"], after["result"]
    same = [kind for kind, _default in before["params"]] == [kind for kind, _default in after["params"]]
    if not same:
        yield "RUST-FN-GENERICS-CHANGED", label, *texts
    else:
        more, less = tightened(before["bounds"], after["bounds"])
        if more:
            yield "RUST-BOUND-ADDED", label, "", ", ".join(more)
        if less:
            yield "RUST-TRAIT-BOUND-REMOVED" if implemented else "RUST-BOUND-REMOVED", label, ", ".join(less), ""
    if before["const"] and not after["const"]:
        yield "RUST-FN-CONST-LOST", label, *texts
    if before["unsafe"] != after["unsafe"]:
        harmless = before["unsafe"] and not implemented
        yield "RUST-FN-SAFE" if harmless else "RUST-FN-UNSAFE-CHANGED", label, *texts
    if (before["abi"], before["variadic"]) != (after["abi"], after["variadic"]):
        yield "RUST-FN-ABI-CHANGED", label, before["abi"], after["abi"]


def tightened(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], list[str]]:
    """What bounds ask for that others did not, and the other way round; ``?Sized`` asks for less where it stands."""
    more, less = sorted(set(after) - set(before)), sorted(set(before) - set(after))
    return (
        [one for one in more if ": ?" not in one] + [one.replace("?", "") for one in less if ": ?" in one],
        [one for one in less if ": ?" not in one] + [one.replace("?", "") for one in more if ": ?" in one],
    )


def function_text(facts: Facts) -> str:
    """A function as people read it."""
    words = [word for word in ("const", "async", "unsafe") if facts[word]]
    if facts["abi"] != "Rust":
        words.append(f'extern "{facts["abi"]}"')
    named = [f"T{n}: {kind}" if kind != "type" else f"T{n}" for n, (kind, _default) in enumerate(facts["params"])]
    generics = f"<{', '.join(named)}>" if named else ""
    inputs = ", ".join(["self: " + one if facts["self"] and not n else one for n, one in enumerate(facts["inputs"])])
    where = f" where {', '.join(facts['bounds'])}" if facts["bounds"] else ""
    return " ".join([*words, f"fn{generics}({inputs}) -> {facts['result']}{where}"])
