"""A first look at a harness, for who writes one: its hello, each operation and feature once, bad input, what it leaves open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.near import near
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.harness.protocol import ProtocolError
from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
from pytest_xinchuang.packages.sm_crypto.causes import Causes, is_refusal
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import Ask, Request, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import DEFAULTS, NUMBERS, PARTS_OF_BLOCKS, RANGES, SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.runner import Asked, VectorOutcome
from pytest_xinchuang.packages.sm_crypto.vectors import Vector
from pytest_xinchuang.sm.sm2 import Sm2

OPERATIONS = tuple(ReferenceHarness().hello()["operations"])
"""The operations of the protocol."""

_FIELDS = (
    "aad", "ct", "ephemeral", "ikm", "info", "iterations", "iv", "key", "mode", "msg", "password", "peer_ephemeral", "peer_id",
    "peer_public", "private", "public", "role", "salt", "secret", "sig", "tag", "usage", "user_id", "shared",
)  # fmt: skip
"""Fields of requests that an operation may limit to a list of values."""
_FEATURES = tuple(dict.fromkeys((*DEFAULTS, *RANGES.values(), *NUMBERS.values(), *_FIELDS)))
_VALUES: Mapping[str, tuple[Any, ...]] = {
    "encoding": ("der", "raw", "point", "spki"),
    "order": ("c1c3c2", "c1c2c3"),
    "input": ("message", "digest"),
    "padding": ("none", "pkcs7"),
    "wrap": (128, 32),
    "standard": ("gb", "ieee"),
    "purpose": ("server", "client"),
    **dict.fromkeys(("splits", "aad_splits"), (True, False, PARTS_OF_BLOCKS)),
    **dict.fromkeys(("k", "clone", "in_place", "compressed", "confirm", "encryption", "crls"), (True, False)),
}
"""Feature -> the values that it can have."""


def hello_hints(hello: SmHello) -> list[Message]:
    """What a hello says that nobody asks about: names and values that are near to known ones, or to none."""
    hints = []
    known = list(SmHello.model_fields)
    for name in hello.model_extra or {}:
        hints.append(_("hello: nobody reads the field {name}{hint}", name=verbatim(name), hint=near(name, known)))
    for operation, capability in hello.operations.items():
        if operation not in OPERATIONS:
            hint = near(operation, OPERATIONS)
            hints.append(_("hello: there is no operation {name}{hint}", name=verbatim(operation), hint=hint))
            continue
        for feature, values in capability.items():
            told = {"operation": operation, "name": verbatim(feature)}
            if feature not in _FEATURES:
                hints.append(_("{operation}: there is no feature {name}{hint}", hint=near(feature, _FEATURES), **told))
            for value in values if feature in _VALUES else ():
                if not any(value == v and type(value) is type(v) for v in _VALUES[feature]):
                    words = [str(v) for v in _VALUES[feature]]
                    said = verbatim(repr(value))
                    hints.append(
                        _(
                            "{operation}: {name} has no value {value}{hint}",
                            value=said,
                            hint=near(str(value), words),
                            **told,
                        )
                    )
    return hints


class StepKind(StrEnum):
    """What a step of the check-up looks at."""

    HELLO = "hello"
    OPERATION = "operation"
    FEATURE = "feature"
    BAD_INPUT = "bad-input"
    OPEN = "open"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: the operation, or the operation with a feature and its value; a requirement for what stays open.
        good: whether it went as it has to; None: it says something, or nothing could be asked.
    """

    kind: StepKind
    name: str
    good: bool | None
    what: Message = NOTHING


@dataclass
class Checkup:
    """The whole check-up."""

    hello: SmHello | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def failed(self) -> list[Step]:
        return [step for step in self.steps if step.good is False]


def check_up(client: SmClient, vectors: Sequence[Vector]) -> Checkup:
    """Ask a harness for everything that it offers, once. Raises HostFault: it could not be started, by a fault on our side."""
    checkup = Checkup()
    try:
        hello = checkup.hello = client.hello
    except ProtocolError as error:
        told = _("{what}; {mend}", what=error.what, mend=error.mend) if error.mend else error.what
        checkup.steps.append(Step(StepKind.HELLO, "hello", False, told))
        return checkup
    checkup.steps.append(
        Step(StepKind.HELLO, "hello", True, verbatim(f"{hello.name} {hello.version} ({hello.language})"))
    )
    checkup.steps += [Step(StepKind.HELLO, "hello", None, hint) for hint in hello_hints(hello)]
    every = [ask for vector in vectors for ask in asks(vector, hello)]
    chosen = list(_chosen(every, hello))
    answers = dict(client.run([(at, ask.request) for at, (_kind, _name, ask) in enumerate(chosen)]))
    causes = Causes([])
    for at, (kind, name, ask) in enumerate(chosen):
        answer = answers.get(at, Answer(ReplyKind.FAULT, detail=_("a request was sent, and its answer was not read")))
        checkup.steps.append(_judged(kind, name, ask, answer, causes))
    for operation in hello.operations:
        if operation in _SPECIAL:
            request, judge = _SPECIAL[operation]
            checkup.steps.append(_special(operation, client.ask(request), judge))
        elif operation in OPERATIONS and not any(name == operation for _kind, name, _ask in chosen):
            told = _("no vector can be asked: look at its features and limits")
            checkup.steps.append(Step(StepKind.OPERATION, operation, None, told))
    checkup.steps += _unasked(hello, {name for _kind, name, _ask in chosen})
    checkup.steps.append(_unknown(client))
    checkup.steps += _open(every, hello)
    checkup.steps += [Step(StepKind.HELLO, "protocol", False, v.what) for v in client.violations[:5]]
    return checkup


def _chosen(every: Iterable[Ask], hello: SmHello) -> Iterator[tuple[StepKind, str, Ask]]:
    """One request of each operation, of each feature and its values, and a bad one of each operation."""
    found: dict[str, tuple[StepKind, str, Ask]] = {}
    for ask in every:
        if ask.either or hello.lacks(ask.request) is not None:
            continue
        operation = ask.request["op"]
        if ask.refuse:
            found.setdefault(f"{operation} !", (StepKind.BAD_INPUT, operation, ask))
            continue
        used = [f"{n} {_shown(ask.request[n])}" for n in DEFAULTS if ask.request.get(n, DEFAULTS[n]) != DEFAULTS[n]]
        found.setdefault(operation, (StepKind.OPERATION, operation, ask))
        for feature in used:
            name = f"{operation} {feature}"
            found.setdefault(name, (StepKind.FEATURE, name, ask))
    order = list(hello.operations)
    yield from sorted(found.values(), key=lambda one: (list(StepKind).index(one[0]), order.index(one[2].request["op"])))


def _unasked(hello: SmHello, asked: set[str]) -> Iterator[Step]:
    """Features of the hello that no vector asks for by themselves: other checks ask for them, or nothing does."""
    for operation, capability in hello.operations.items():
        left = [
            f"{feature} {_shown(value)}".rstrip()
            for feature, values in capability.items()
            if operation in OPERATIONS and (feature in _VALUES or feature == "offset") and feature != "confirm"
            for value in values
            if value != DEFAULTS[feature] and f"{operation} {feature} {_shown(value)}" not in asked
        ]
        if left:
            told = _("no vector asks for {features} alone", features=joined(map(verbatim, left), _(", ")))
            yield Step(StepKind.FEATURE, operation, None, told)


def _shown(value: Any) -> str:
    return "" if isinstance(value, list | bool) or (isinstance(value, str) and len(value) > 16) else str(value)


def _judged(kind: StepKind, name: str, ask: Ask, answer: Answer, causes: Causes) -> Step:
    result, detail = ask.judge(answer)
    if result is VectorResult.UNDECIDED:
        return Step(kind, name, None, detail)
    if result is not VectorResult.FAILED:
        return Step(kind, name, True)
    outcome = VectorOutcome(ask.vector, result, ask.request["op"], detail, asked=Asked(ask, answer, result))
    cause = causes.of(outcome)
    return Step(kind, name, False, _("{detail} ({cause})", detail=detail, cause=cause) if cause else detail)


# -- operations without vectors


def _self_test(reply: Mapping[str, Any]) -> bool:
    return reply.get("passed") is True


def _keys(reply: Mapping[str, Any]) -> bool:
    sm2 = Sm2()
    private = sm2.check_private(bytes.fromhex(reply["private"]))
    return bool(sm2.encode_point(sm2.public_of(private)).hex() == reply["public"])


_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
"""SM3 of "abc" (GB/T 32905-2016, A.1)."""


def _replies(reply: Mapping[str, Any]) -> bool:
    (mine,) = reply["replies"]
    return [{"digest": one.get("digest")} for one in mine] == [{"digest": _ABC}]


def _copies(reply: Mapping[str, Any]) -> bool:
    return all([one.get("digest") for one in reply[who]] == [_ABC] for who in ("parent", "child"))


def _times(reply: Mapping[str, Any]) -> bool:
    first, second = reply["nanoseconds"]
    return len(first) + len(second) == 8 and all(type(n) is int and n >= 0 for n in (*first, *second))


_HASH = {"op": "sm3", "msg": b"abc".hex()}
_SPECIAL: Mapping[str, tuple[Request, Callable[[Mapping[str, Any]], bool]]] = {
    "self_test": ({"op": "self_test"}, _self_test),
    "sm2_keygen": ({"op": "sm2_keygen"}, _keys),
    "concurrent": ({"op": "concurrent", "requests": [_HASH], "threads": 2, "repeat": 3, "shared": False}, _replies),
    "forked": ({"op": "forked", "requests": [_HASH]}, _copies),
    "timed": ({"op": "timed", "requests": [_HASH, _HASH], "rounds": 8, "seed": 1}, _times),
}


def _special(operation: str, answer: Answer, judge: Callable[[Mapping[str, Any]], bool]) -> Step:
    try:
        good = answer.kind is ReplyKind.REPLY and judge(answer.reply)
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    told = answer.detail or _("got {reply}", reply=verbatim(str(dict(answer.reply))[:200]))
    return Step(StepKind.OPERATION, operation, good, NOTHING if good else told)


def _unknown(client: SmClient) -> Step:
    """An operation that there is none of must be answered, and must not end the harness."""
    answer = client.ask({"op": "no_such_operation"})
    good = answer.kind is ReplyKind.REPLY and ("unsupported" in answer.reply or is_refusal(answer.reply))
    told = answer.detail or _(
        'an operation that is unknown is answered with "unsupported" or "error", got {reply}',
        reply=verbatim(str(dict(answer.reply))[:200]),
    )
    return Step(StepKind.BAD_INPUT, "no_such_operation", good, NOTHING if good else told)


def _open(every: Iterable[Ask], hello: SmHello) -> Iterator[Step]:
    """What no vector can be asked for, by requirement."""
    asked: dict[str, set[bool]] = {}
    lacking: dict[str, Counter[Message]] = {}
    for ask in every:
        requirement = ask.vector.requirement
        lack = hello.lacks(ask.request)
        kinds = asked.setdefault(requirement, set())
        if lack is None:
            kinds.add(ask.refuse)
        else:
            lacking.setdefault(requirement, Counter())[lack.text] += 1
    for requirement in sorted(lacking):
        parts = lacking[requirement]
        n, told = parts.total(), joined([part for part, _n in parts.most_common(3)], _(", "))
        if False in asked[requirement]:
            what = n_("{n} request cannot be asked: {parts}", "{n} requests cannot be asked: {parts}", n, parts=told)
        else:
            what = _("stays undecided: no valid vector can be asked: {parts}", parts=told)
        yield Step(StepKind.OPEN, requirement, None, what)


# -- texts


_MARKS = {True: _("ok"), False: _("FAILED"), None: _("note")}
_TITLES: Mapping[StepKind, Message] = {
    StepKind.HELLO: _("hello"),
    StepKind.OPERATION: _("each operation, once"),
    StepKind.FEATURE: _("each feature, once"),
    StepKind.BAD_INPUT: _("bad input is refused, and ends nothing"),
    StepKind.OPEN: _("what is not offered"),
}


def as_text(checkup: Checkup, lang: str = "en") -> str:
    """The steps by kind, a line each."""
    lines = []
    for kind in StepKind:
        mine = [step for step in checkup.steps if step.kind is kind]
        if mine:
            lines += ["", _TITLES[kind].render(lang)]
        for step in mine:
            lines.append(f"  {_MARKS[step.good].render(lang):<6}  {step.name}  {step.what.render(lang)}".rstrip())
    n = len(checkup.failed)
    good = sum(step.good is True for step in checkup.steps)
    lines += ["", _("{good} steps are good, {n} failed", good=good, n=n).render(lang)]
    return "\n".join(lines[1:]) + "\n"


def as_dict(checkup: Checkup) -> dict[str, Any]:
    """The steps as plain data."""
    return {
        "schema": "xc-sm-check/1",
        "harness": checkup.hello.model_dump(mode="json") if checkup.hello else None,
        "steps": [
            {"kind": step.kind.value, "name": step.name, "good": step.good, "what": step.what} for step in checkup.steps
        ],
        "failed": len(checkup.failed),
    }
