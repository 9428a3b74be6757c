"""What a project decides for itself: contested rules, accepted changes, moved packages."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from pytest_xinchuang.core.data import FrozenData, GlobPattern
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.rules import Level, Rule

Weight = Literal["breaking", "fragile", "ignore"]
_LEVELS: dict[Weight, Level] = {"breaking": "major", "fragile": "minor", "ignore": "patch"}


class Suppression(FrozenData):
    """A change that is accepted.

    Attributes:
        rule: its id, or a pattern.
        symbol: as reports call it, or a pattern (``./conn.Config.*``).
        expires: the last day on which it counts.
    """

    rule: GlobPattern
    symbol: GlobPattern
    reason: str = Field(min_length=10)
    expires: datetime.date


class ApiPolicy(FrozenData):
    """``xc-api.yaml``.

    Attributes:
        interfaces: who writes types that implement the SDK's interfaces: ``users`` (a new method breaks them) or
            ``provider`` (nobody but the SDK).
        unkeyed_literals: what a new field in a struct is that others may write without keys; ``go vet`` warns of those.
        embedding: what a new field or method is: a struct of somebody who embeds the type beside another one that has the
            name becomes ambiguous. The promise of Go 1 leaves the case out (https://go.dev/doc/go1compat).
        tags: what a changed struct tag is: part of the wire contract, or not.
        exhaustive: what one more constant of an enum, or class of a sealed one, is: a switch over all of them breaks.
        package_map: old package -> new package, where one SDK takes another's place.
    """

    format: Literal["xc-api-policy/1"] = Field(alias="schema", default="xc-api-policy/1")
    interfaces: Literal["users", "provider"] = "users"
    unkeyed_literals: Weight = "ignore"
    embedding: Weight = "ignore"
    tags: Weight = "fragile"
    exhaustive: Weight = "breaking"
    package_map: dict[str, str] = Field(default_factory=dict)
    suppress: tuple[Suppression, ...] = ()

    def level(self, rule: Rule) -> Level:
        """The level of a rule under this policy."""
        if rule.policy == "interfaces":
            return "major" if self.interfaces == "users" else "minor"
        if rule.policy == "unkeyed_literals":
            # A field that one can use is news even where literals do not count.
            return _LEVELS[self.unkeyed_literals] if self.unkeyed_literals != "ignore" else rule.level
        if rule.policy == "embedding":
            return _LEVELS[self.embedding] if self.embedding != "ignore" else rule.level
        if rule.policy == "tags":
            return _LEVELS[self.tags]
        if rule.policy == "exhaustive":
            return _LEVELS[self.exhaustive] if self.exhaustive != "ignore" else "minor"
        return rule.level

    def harmless(self, rule: Rule) -> bool:
        """Whether the policy says that nobody is hurt."""
        return (
            (rule.policy == "unkeyed_literals" and self.unkeyed_literals == "ignore")
            or (rule.policy == "embedding" and self.embedding == "ignore")
            or (rule.policy == "tags" and self.tags == "ignore")
            or (rule.policy == "exhaustive" and self.exhaustive == "ignore")
            or (rule.policy == "interfaces" and self.interfaces == "provider")
        )


@dataclass
class Suppressed:
    """How a suppression fared."""

    suppression: Suppression
    count: int = 0
    expired: bool = False


def load_policy(path: Path) -> ApiPolicy:
    """
    Raises:
        DataFileError: it is malformed.
    """
    return YamlFile(path).parse(ApiPolicy)


def suppress(
    changes: list[Change], policy: ApiPolicy, today: datetime.date
) -> tuple[list[Change], list[tuple[Change, Suppression]], list[Suppressed]]:
    """Split changes into those that count and those that are accepted; each suppression with how often it was used.

    An expired one has no effect.
    """
    states = [Suppressed(s, expired=s.expires < today) for s in policy.suppress]
    left: list[Change] = []
    accepted: list[tuple[Change, Suppression]] = []
    for change in changes:
        for state in states:
            s = state.suppression
            if fnmatchcase(change.rule, s.rule) and fnmatchcase(change.symbol, s.symbol):
                state.count += 1
                if not state.expired:
                    accepted.append((change, s))
                    break
        else:
            left.append(change)
    return left, accepted, states
