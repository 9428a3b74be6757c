"""The survey of Java."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_xinchuang.advise.java.artifacts import builds_of, survey_artifacts
from pytest_xinchuang.advise.java.code import survey_code
from pytest_xinchuang.advise.natives import tell_shipped
from pytest_xinchuang.advise.registries import Registry
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _


@dataclass(frozen=True)
class JavaSurvey:
    """Sources, what they load, and what Maven and Gradle fetch."""

    registry: Registry = field(default_factory=Registry)
    name: str = "java"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named("*.java")) or bool(builds_of(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = survey_artifacts(tree, work, self.registry)
        sources = tree.named("*.java")
        if sources:
            try:
                said.join(survey_code(tree, work))
            except XcError as fault:
                lost = Part(_("Java"), 0, len(sources), why=((fault.what, len(sources)),))
                said.add((p.id for p in work.platforms), lost)
        others = len(tree.named("*.kt", "*.scala", "*.groovy"))
        if others:
            why = _("it is not read for what asks for os.arch or loads native files")
            said.add(
                (p.id for p in work.platforms), Part(_("Kotlin, Scala and Groovy"), 0, others, why=((why, others),))
            )
        said.join(tell_shipped(tree, work, said, lambda path: "/resources/" in f"/{path}" or ".jar!" in path))
        return said
