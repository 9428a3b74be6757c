"""The surveys that there are, in the order in which their parts are told."""

from __future__ import annotations

from pytest_xinchuang.advise.builds.images import ImagesSurvey
from pytest_xinchuang.advise.builds.packaging import PackagingSurvey
from pytest_xinchuang.advise.builds.record import recorded
from pytest_xinchuang.advise.builds.scripts import ScriptsSurvey
from pytest_xinchuang.advise.builds.survey import BuildsSurvey
from pytest_xinchuang.advise.c.code import CodeSurvey
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.advise.golang.survey import GoSurvey
from pytest_xinchuang.advise.rust.survey import RustSurvey
from pytest_xinchuang.advise.work import Survey


def all_surveys() -> tuple[Survey, ...]:
    """One of each."""
    builds = (BuildsSurvey(), CSurvey((recorded,)), CodeSurvey())
    languages = (GoSurvey(), RustSurvey())
    return (*builds, *languages, ScriptsSurvey(), PackagingSurvey(), ImagesSurvey())
