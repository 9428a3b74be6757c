"""The events of a journal: one model for each kind, by which they are both written and read.

What a run writes is exact, and ``schemas/journal.json`` says what that is. What is read may come from anywhere, and from an
older release: a value that is none of its enumeration is kept as :class:`Unreadable` and judged as the worst, keys that are
not known are ignored, and what lacks a field that has always been there is no event.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_serializer,
)

from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.surroundings import AssessorSeen, FixtureSeen, Installed, PluginSeen
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.messages import Message, verbatim

SCHEMA: Literal["xc-journal/1"] = "xc-journal/1"

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True)
class Unreadable:
    """A value of a journal that is none of its enumeration's. It is never written.

    Attributes:
        text: what stood there, as Python shows it.
    """

    text: str


def _read(choices: type[_Choice], value: object) -> _Choice | Unreadable:
    if isinstance(value, choices):
        return value
    try:
        return choices(value) if isinstance(value, str) else Unreadable(repr(value)[:100])
    except ValueError:
        return Unreadable(repr(value)[:100])


def _never_left_out(schema: dict[str, Any]) -> None:
    schema.pop("default")


def _one_of(choices: type[StrEnum]) -> WithJsonSchema:
    return WithJsonSchema({"enum": [choice.value for choice in choices]})


def _shown(value: StrEnum | Unreadable) -> str:
    return value.text if isinstance(value, Unreadable) else value.value


_SHOWN = PlainSerializer(_shown, return_type=str)

ReadVerdict = Annotated[
    Verdict | Unreadable, PlainValidator(lambda value: _read(Verdict, value)), _SHOWN, _one_of(Verdict)
]
ReadFidelity = Annotated[
    Fidelity | Unreadable, PlainValidator(lambda value: _read(Fidelity, value)), _SHOWN, _one_of(Fidelity)
]


def _cause(value: object) -> Cause:
    found = _read(Cause, value)
    return found if isinstance(found, Cause) else Cause.HOST


ReadCause = Annotated[Cause, PlainValidator(_cause), _SHOWN, _one_of(Cause)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class _Event(_Part):
    """What every line has.

    Attributes:
        t: when it was written: UTC, ISO 8601; the writer fills it in.
    """

    kind: str
    t: str = ""


class _Said(_Event):
    """An event with texts for users: in English under their own names, and once more as messages for other languages."""

    messages: dict[str, Message | tuple[Message, ...]] = Field(
        default_factory=dict, description="the texts of this event as messages: ids with parameters"
    )

    def said(self, name: str) -> Message:
        """The text of one field; that of a journal without messages is the same in every language."""
        found = self.messages.get(name)
        return found if isinstance(found, Message) else verbatim(getattr(self, name))

    def said_all(self, name: str) -> tuple[Message, ...]:
        """The texts of a field that is a list."""
        texts: tuple[str, ...] = getattr(self, name)
        found = self.messages.get(name)
        if isinstance(found, tuple) and len(found) == len(texts):
            return found
        return tuple(verbatim(text) for text in texts)

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        # Texts come first, as they always have; what says nothing more than the English is left out.
        messages = data.pop("messages", None)
        return {**data, "messages": messages} if messages else data


def messages_of(**texts: str | tuple[str, ...]) -> dict[str, Message | tuple[Message, ...]]:
    """``messages`` of an event, from its texts. Names and other texts without languages are left out."""
    found: dict[str, Message | tuple[Message, ...]] = {}
    for name, text in texts.items():
        if isinstance(text, tuple):
            if any(has_languages(one) for one in text):
                found[name] = tuple(verbatim(one) for one in text)
        elif has_languages(text):
            found[name] = verbatim(text)
    return found


def has_languages(text: str) -> bool:
    """Whether it can be put into another language, and read again; else it is a plain text."""
    if not isinstance(text, Message) or "text" in text.as_data():
        return False
    try:
        Message.from_data(text.as_data())
    except ValueError:
        return False
    return True


class Run(_Part):
    id: str
    host: dict[str, str] = Field(description="the machine that ran it all")
    argv: tuple[str, ...]
    backend: str = ""


class Suite(_Part):
    name: str
    version: str
    digest: str


class GradedSubject(_Part):
    name: str
    version: str
    digest: str
    units: tuple[str, ...] = ()


class ChosenProfile(_Part):
    id: str
    title: Text | None = None
    required_level: Level | None = None


class GradedPlatform(_Part):
    id: str
    digest: str = ""
    arch: str = ""
    uname: str = Field(description="what ``uname -m`` has to say in a sandbox of it")
    facts: Literal["shipped", "overridden"] = Field(
        default="overridden", description="whose facts about the platform were believed"
    )
    cpu: Text | None = None
    system: Text | None = None


class Required(_Part):
    """One requirement that the run answers for, as the catalogue had it."""

    id: str
    package: str
    level: Level
    title: Text
    clause: str = ""
    min_fidelity: Fidelity
    mandatory: StrictBool
    may_not_apply: StrictBool = False
    mend: Text
    needs: tuple[str, ...] = ()


class OwnFile(_Part):
    """A file that does not come with the suite, and that the run has taken facts or requirements from.

    Attributes:
        name: without its directory. digest: SHA-256 over its bytes.
        ids: the requirements that stand in it.
    """

    name: str
    digest: str
    ids: tuple[str, ...] = ()


class WaiverEntry(_Part):
    """A waiver that the run was given."""

    requirement: str
    subject: str
    version: str
    platform: str
    owner: str
    reason: str
    clause: str
    expires: datetime.date


class RunStarted(_Event):
    """The first event: what was graded, against which list of requirements, on which platforms."""

    kind: Literal["run_started"] = "run_started"
    t: str
    format: str = Field(alias="schema", json_schema_extra={"const": SCHEMA})
    run: Run
    suite: Suite
    subject: GradedSubject
    profile: ChosenProfile
    packages: tuple[str, ...]
    platforms: tuple[GradedPlatform, ...]
    required: tuple[Required, ...]
    waivers: tuple[WaiverEntry, ...] = ()
    not_before: str = Field(
        default="", description="when the youngest of the files that the run began with was last changed; as t"
    )
    own_requirements: tuple[OwnFile, ...] = Field(default=(), description="catalogue files that are not the suite's")
    platform_files: tuple[OwnFile, ...] = Field(
        default=(), description="files that were merged over the platforms that the suite ships"
    )

    @field_validator("t")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        datetime.date.fromisoformat(text[:10])
        return text

    @property
    def day(self) -> datetime.date:
        """The day, in UTC, on which the run was started."""
        return datetime.date.fromisoformat(self.t[:10])


class Planned(_Said):
    """One check of one platform, as it stood at collection before anything was deselected.

    A planned check without a decision of its own keeps its requirements ``not_tested``.

    Attributes:
        check: as in ``decision`` events. node: the full node id.
        platform: "" where nothing could be known of platforms: it is then of every one.
        state: what became of it at collection. ``selected``: it was about to run. ``deselected``: by an option, a plugin or a
            hook. ``not_collected``: its file could not be read, or was left out. ``other_platforms``: its marker names others.
        alternative: its marker names platforms, so that another check may stand in its place elsewhere.
        reason: why it was not selected.
    """

    kind: Literal["planned"] = "planned"
    check: str
    node: str = ""
    platform: str
    requirements: tuple[str, ...]
    state: Literal["selected", "deselected", "not_collected", "other_platforms"] = "not_collected"
    alternative: StrictBool = False
    reason: str = ""


class CheckEnded(_Event):
    """One phase of one test has ended."""

    kind: Literal["check"] = "check"
    check: str
    platform: str
    phase: str = ""
    outcome: str = ""
    duration_s: float = Field(default=0.0, ge=0, le=1e9, allow_inf_nan=False)
    worker: str = ""


class Decided(_Said):
    """What one check decided about one requirement on one platform.

    Attributes:
        evidence: ids of ``evidence`` events.
        attempt: 1 for the first decision of this check.
    """

    kind: Literal["decision"] = "decision"
    requirement: str
    verdict: ReadVerdict = Field(default=Unreadable("None"), json_schema_extra=_never_left_out)
    cause: ReadCause = Cause.HOST
    reason: str = ""
    mend: str = ""
    fidelity: ReadFidelity = Field(default=Unreadable("None"), json_schema_extra=_never_left_out)
    evidence: tuple[str, ...] = ()
    platform: str
    check: str = ""
    attempt: StrictInt = 1


class SandboxOpened(_Said):
    """A sandbox was opened: its fingerprint (see ``sandbox/protocol.py``)."""

    kind: Literal["sandbox"] = "sandbox"
    backend: str = ""
    platform: str
    fidelity: ReadFidelity = Field(default=Unreadable("None"), json_schema_extra=_never_left_out)
    emulated: StrictBool = True
    rootfs: str = ""
    rootfs_digest: str = ""
    stand_in: StrictBool = True
    differs: tuple[str, ...] = ()
    emulator: str = ""
    emulator_digest: str = ""
    cpu_model: str = ""
    isolation: dict[str, Any] = Field(default_factory=dict)
    observed: dict[str, Any] = Field(default_factory=dict)
    host_kernel: str = ""
    baseline_ms: float = 0.0
    degraded: str = ""
    passed_over: tuple[str, ...] = Field(
        default=(), description="better ways to open a sandbox, each with the reason why the host does not allow it"
    )
    contradicts: tuple[str, ...] = Field(
        default=(), description="how a real machine contradicts what is written of the platform"
    )
    own_kernel: StrictBool = False
    extra: dict[str, Any] = Field(default_factory=dict)
    variant: str = ""
    plugin: str = Field(default="", description="what has registered the backend, where the suite does not ship it")
    confirmed: StrictBool = Field(default=False, description="this host itself was seen to be the platform")


class EvidenceKept(_Event):
    """An observation. ``data`` is open but for its ``kind``: each engine writes what it saw."""

    kind: Literal["evidence"] = "evidence"
    id: str
    data: dict[str, Any] = Field(
        default_factory=dict,
        json_schema_extra={"properties": {"kind": {"type": "string"}}, "required": ["kind"]},
    )


class FaultMet(_Said):
    """Our machinery broke somewhere; what it was about to decide is inconclusive."""

    kind: Literal["fault"] = "fault"
    what: str = ""


class Surrounded(_Said):
    """What ran beside the checks, as it stood at the end of the run.

    Attributes:
        sealed: the checks ran in a process of their own, and nothing in it was somebody else's.
        foreign: what could have bent the result, for people; empty in a sealed run.
        python_digest: SHA-256 over the interpreter.
        patched: functions and classes of the suite in whose place stood somebody else's.
        environment: variables that change what Python, pytest or the loader does.
        ini: values of pytest's ini file that are not the defaults.
        packages: conformance packages of others that took part.
        assessor: what decided the checks of the suite in the place of this process; None: this process did.
        in_process: why this process did, where another could have been asked to.
    """

    kind: Literal["surroundings"] = "surroundings"
    sealed: StrictBool = False
    foreign: tuple[str, ...] = ()
    python: str = ""
    python_digest: str = ""
    distributions: tuple[Installed, ...] = ()
    plugins: tuple[PluginSeen, ...] = ()
    fixtures: tuple[FixtureSeen, ...] = ()
    patched: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    ini: dict[str, str] = Field(default_factory=dict)
    packages: tuple[Installed, ...] = ()
    assessor: AssessorSeen | None = None
    in_process: str = ""


class RunFinished(_Event):
    """The last event; a journal without it is of a run that was killed. The writer fills in the count and the head.

    Attributes:
        exit_status: pytest's.
        events: how many lines stand before this one. head: the chain of the last of them.
    """

    kind: Literal["run_finished"] = "run_finished"
    exit_status: StrictInt | None = None
    events: StrictInt | None = None
    head: str = ""


Event = RunStarted | Planned | CheckEnded | Decided | SandboxOpened | EvidenceKept | FaultMet | Surrounded | RunFinished

KINDS: dict[str, type[Event]] = {
    "run_started": RunStarted,
    "planned": Planned,
    "check": CheckEnded,
    "decision": Decided,
    "sandbox": SandboxOpened,
    "evidence": EvidenceKept,
    "fault": FaultMet,
    "surroundings": Surrounded,
    "run_finished": RunFinished,
}


def journal_schema() -> dict[str, Any]:
    """The JSON Schema of one line of ``journal.ndjson``.

    Lines of older journals lack the whole of the seal, or all but its checksum; see ``core/chain.py``.
    """
    lines: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
    schema = lines.json_schema(by_alias=True)
    for model in KINDS.values():
        definition = schema["$defs"][model.__name__]
        never_left_out = {name for name, field in model.model_fields.items() if isinstance(field.default, Unreadable)}
        definition["required"] = sorted({"kind", *never_left_out, *definition.get("required", ())})
        definition["properties"] |= {
            "run_id": {"description": "the id of the run that the line is of", "type": "string"},
            "seq": {"description": "the number of the line, from 0", "type": "integer", "minimum": 0},
            "elapsed_s": {
                "description": "seconds since the run was started, by a clock that nobody sets",
                "type": "number",
                "minimum": 0,
            },
            "chain": {
                "description": "SHA-256 over the chain of the line before (64 zeros for the first) and the bytes of this line "
                "up to this field, in hexadecimal",
                "pattern": "^[0-9a-f]{64}$",
                "type": "string",
            },
            "crc32": {
                "description": "CRC-32 of the line without this field, in hexadecimal",
                "pattern": "^[0-9a-f]{8}$",
                "type": "string",
            },
        }
    return {"title": f"One line of journal.ndjson ({SCHEMA})", **schema}
