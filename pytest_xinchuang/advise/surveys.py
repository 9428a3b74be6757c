"""The surveys that there are, in the order in which their parts are told."""

from __future__ import annotations

from pytest_xinchuang.advise.builds.images import ImagesSurvey
from pytest_xinchuang.advise.builds.packaging import PackagingSurvey
from pytest_xinchuang.advise.builds.record import recorded
from pytest_xinchuang.advise.builds.scripts import ScriptsSurvey
from pytest_xinchuang.advise.builds.survey import BuildsSurvey
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.advise.work import Survey


def all_surveys() -> tuple[Survey, ...]:
    """One of each."""
    return (BuildsSurvey(), CSurvey((recorded,)), ScriptsSurvey(), PackagingSurvey(), ImagesSurvey())
