"""The survey of Node.js."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_xinchuang.advise.natives import tell_shipped
from pytest_xinchuang.advise.node.code import survey_code
from pytest_xinchuang.advise.node.gyp import survey_gyp
from pytest_xinchuang.advise.node.packages import survey_packages
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Surveyed

MANIFESTS = ("package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "binding.gyp")


@dataclass(frozen=True)
class NodeSurvey:
    """Lock files, binding.gyp, code that asks for the machine, and modules that were built before."""

    name: str = "node"

    def applies(self, tree: SourceTree) -> bool:
        return bool(tree.named(*MANIFESTS))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = survey_packages(tree, work)
        said.join(survey_gyp(tree, work))
        said.join(survey_code(tree, work))
        said.join(tell_shipped(tree, work, said, lambda path: path.endswith(".node")))
        return said
