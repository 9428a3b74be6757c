"""The JSON Schemas that are shipped."""

from __future__ import annotations


def schemas() -> dict[str, dict[str, object]]:
    """The JSON Schemas that are shipped in ``schemas/``, by file name, as the models say now."""
    from pytest_xinchuang.core.events import journal_schema
    from pytest_xinchuang.core.platform import PlatformsFile
    from pytest_xinchuang.core.subject import subject_model
    from pytest_xinchuang.packages.registry import shipped
    from pytest_xinchuang.packages.sdk_ast.snapshot import snapshot_schema
    from pytest_xinchuang.report.json_report import report_schema

    return {
        "platforms.json": PlatformsFile.model_json_schema(by_alias=True),
        "subject.json": subject_model(shipped().sections).model_json_schema(by_alias=True),
        "report.json": report_schema(),
        "journal.json": journal_schema(),
        "api.json": snapshot_schema(),
    }
