"""What cargo prints, as it is read."""

from __future__ import annotations

import json
from typing import Any

from pytest_xinchuang.advise.rust.events import RustError, Span, checked_of, crates_of, within


def _span(file: str, line: int, expansion: Any = None) -> dict[str, Any]:
    return {"file_name": file, "line_start": line, "column_start": 5, "is_primary": True, "expansion": expansion}


def _message(level: str, text: str, spans: list[dict[str, Any]], **more: Any) -> str:
    message = {"level": level, "message": text, "spans": spans, **more}
    return json.dumps({"reason": "compiler-message", "package_id": "p", "message": message})


def test_an_error_is_where_the_macro_is_used() -> None:
    outer = _span("src/lib.rs", 7)
    gated = {"spans": [{"file_name": "src/x.rs", "line_start": 1, "column_start": 1}]}
    text = _message("error", "no", [_span("/core/m.rs", 3, {"span": outer})], code={"code": "E0433"}, children=[gated])
    checked = checked_of(text)
    spans = (Span("/core/m.rs", 3, 5), Span("src/lib.rs", 7, 5))
    assert checked.faults == {"p": [RustError("no", "E0433", spans, Span("src/x.rs", 1, 1))]}


def test_a_warning_is_no_error_and_other_lines_are_left_out() -> None:
    text = "\n".join(["noise", "[]", '{"reason": 3}', _message("warning", "unused", [_span("a", 1)])])
    assert checked_of(text).faults == {} and not checked_of(text).finished


def test_what_was_compiled_and_which_scripts_ran() -> None:
    def artifact(kind: str) -> dict[str, Any]:
        return {"reason": "compiler-artifact", "package_id": "p", "target": {"kind": [kind], "name": "n"}}

    events = [artifact("custom-build"), artifact("lib"), {"reason": "build-script-executed", "package_id": "p"}]
    events.append({"reason": "build-finished", "success": True})
    checked = checked_of("\n".join(map(json.dumps, events)))
    assert (checked.done, checked.scripts, checked.ran, checked.finished) == ({("p", "lib", "n")}, {"p"}, {"p"}, True)


def test_crates_and_what_they_need() -> None:
    def package(name: str, source: str | None) -> dict[str, Any]:
        targets = [
            {"kind": ["lib"], "name": name},
            {"kind": ["test"], "name": "t"},
            {"kind": ["custom-build"], "name": "b"},
        ]
        return {
            "id": name,
            "name": name,
            "version": "1",
            "manifest_path": f"/{name}",
            "targets": targets,
            "source": source,
        }

    nodes = [("a", ["b"]), ("b", ["c", "a"]), ("c", [])]
    said = {
        "packages": [package("a", None), package("b", "registry"), package("c", "registry")],
        "workspace_members": ["a"],
        "resolve": {"nodes": [{"id": name, "dependencies": needed} for name, needed in nodes]},
    }
    crates = crates_of(json.dumps(said))
    assert crates["a"].member and crates["a"].local and not crates["b"].local and crates["a"].targets == (("lib", "a"),)
    assert within(crates, "a") == {"a", "b", "c"}
    assert crates_of("no JSON") == crates_of("{}") == {}
