"""The survey of Python."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_xinchuang.advise.python.code import survey_code
from pytest_xinchuang.advise.python.locks import locks_of
from pytest_xinchuang.advise.python.packages import survey_packages
from pytest_xinchuang.advise.registries import Registry
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Surveyed


@dataclass(frozen=True)
class PythonSurvey:
    """Lock files, and code that asks for the machine."""

    registry: Registry = field(default_factory=Registry)
    name: str = "python"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named("*.py")) or bool(locks_of(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = survey_code(tree, work) if tree.named("*.py") else Surveyed()
        said.join(survey_packages(tree, work, self.registry))
        return said
