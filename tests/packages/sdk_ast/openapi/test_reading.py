"""Documents that are read otherwise than one might think, and those that cannot be: each is told, and none passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.packages.sdk_ast.openapi.documents import documents
from pytest_xinchuang.packages.sdk_ast.openapi.reader import extract_openapi
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources, language_of
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.openapi.test_rules import diff
from tests.packages.sdk_ast.trees import rules_of

HEAD = "openapi: 3.1.0\ninfo: {title: Pets, version: 1.2.0}\n"
PETS = """paths:
  /pets:
    get:
      responses:
        "200":
          description: all
          content: {application/json: {schema: SCHEMA}}
"""


def document(schema: str, more: str = "") -> str:
    return HEAD + PETS.replace("SCHEMA", schema) + more


def pair(directory: Path, old: str, new: str) -> Path:
    for side, text in (("old", old), ("new", new)):
        (directory / side).mkdir(parents=True)
        (directory / side / "openapi.yaml").write_text(text, encoding="utf-8")
    return directory


def snapshot(directory: Path, name: str, text: str | bytes) -> Snapshot:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    extract_openapi(path, directory / "api.jsonl")
    return Snapshot(directory / "api.jsonl")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", BOMB + HEAD, "more than 200000 values"),
        ("a.yaml", HEAD + "x: &x [*x]\n", "an alias of what it stands in"),
        ("a.yaml", HEAD + "paths: {\n", "not valid YAML"),
        ("a.yaml", b"\xff\xfeopenapi: 3.1.0\n", "not UTF-8"),
        ("a.yaml", "openapi: 3.1.0\nopenapi: 3.0.0\n", "is given twice"),
        ("a.yaml", "- openapi: 3.1.0\n", "expected a mapping"),
        ("a.yaml", 'swagger: "2.0"\n', "found OpenAPI '2.0', expected 3.0"),
        ("a.yaml", "openapi: 4.0.0\n", "found OpenAPI '4.0.0'"),
        ("a.json", '{"openapi": "3.1.0",}', "not valid JSON"),
        ("a.json", '{"openapi": "3.1.0", "openapi": "3.0.0"}', "is given twice"),
        ("a.json", '{"openapi": "3.1.0", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON|deeper than"),
        ("a.json", '{"openapi": "3.1.0", "x": ' + "[" * 300 + "]" * 300 + "}", "deeper than 200 levels"),
        ("a.json", "[]", "found OpenAPI '-'"),
    ],
)
def test_a_document_that_is_none(tmp_path: Path, name: str, text: str | bytes, expected: str) -> None:
    with pytest.raises(DataFileError, match=expected):
        snapshot(tmp_path, name, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (document("{$ref: '#/components/schemas/Nowhere'}"), "leads nowhere: there is no"),
        (document("{$ref: 'not-here.yaml#/Pet'}"), "cannot be read: No such file"),
        (document("{$ref: 'https://a.example/pet.yaml'}"), "on another host, and nothing is fetched"),
        (document("{$ref: '../../../../etc/passwd'}"), "leads out of"),
        (document("7"), "expected a schema"),
        (HEAD + "paths: {/pets: {$ref: '#/paths/~1pets'}}\n", "refers to itself"),
        (HEAD + "paths: {/pets: {get: {parameters: [{name: 1}], responses: {}}}}\n", "a parameter without a name"),
        (HEAD + "paths: {/pets: {get: {requestBody: 3, responses: {}}}}\n", "expected a mapping"),
    ],
)
def test_what_leads_nowhere_is_undecided(tmp_path: Path, text: str, expected: str) -> None:
    found = snapshot(tmp_path, "openapi.yaml", text)
    assert expected in "\n".join(map(str, found.problems))
    comparison = diff(pair(tmp_path, document("{type: string}"), text))
    assert comparison.undecided or comparison.breaking
    assert "OPENAPI-UNVERIFIABLE" in rules_of(comparison)


def test_a_schema_that_is_nothing_but_itself(tmp_path: Path) -> None:
    more = (
        "components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {allOf: [{$ref: '#/components/schemas/A'}]}}}\n"
    )
    text = document("{$ref: '#/components/schemas/A'}", more)
    assert not diff(pair(tmp_path / "same", text, text)).changes
    assert diff(pair(tmp_path / "other", document("{type: string}"), text)).breaking


def test_a_long_chain_of_references(tmp_path: Path) -> None:
    link = "    S{}: {{type: object, properties: {{next: {{$ref: '#/components/schemas/S{}'}}}}}}\n"
    chain = "".join(link.format(n, n + 1) for n in range(1500))
    more = "components:\n  schemas:\n" + chain + "    S1500: {type: TYPE}\n"
    old = document("{$ref: '#/components/schemas/S0'}", more.replace("TYPE", "string"))
    new = document("{$ref: '#/components/schemas/S0'}", more.replace("TYPE", "integer"))
    with Sources(Cache(), ReadOptions(language="openapi")) as sources:
        assert len(sources.read(str(pair(tmp_path, old, new) / "old")).package("api", "openapi").symbols) == 1502  # type: ignore[union-attr]


def test_a_keyword_that_is_not_compared_is_undecided(tmp_path: Path) -> None:
    old, new = document("{type: object}"), document("{type: object, dependentRequired: {a: [b]}}")
    assert not diff(pair(tmp_path / "promised", old, new)).undecided
    comparison = diff(pair(tmp_path / "lost", new, old))
    assert rules_of(comparison, "undecided") == {"OPENAPI-RESPONSE-OTHER": ["GET /pets 200 application/json"]}


def test_documents_of_a_directory(tmp_path: Path) -> None:
    for name in ("pets.yaml", "v1/cats.json", "node_modules/x.yaml", ".hidden/y.yaml", "compose.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = '{"openapi": "3.0.3", "info": {}, "paths": {}}' if name.endswith("json") else document("{}")
        path.write_text("services: {}\n" if name == "compose.yaml" else text)
    assert [p.relative_to(tmp_path).as_posix() for p in documents(tmp_path)] == ["pets.yaml", "v1/cats.json"]
    assert language_of(tmp_path) == "openapi"
    with Sources(Cache(), ReadOptions()) as sources:
        assert list(sources.read(str(tmp_path)).packages) == ["pets", "v1/cats"]
        assert sources.read(str(tmp_path / "v1/cats.json")).header.language == "openapi"


def test_a_directory_without_documents(tmp_path: Path) -> None:
    with pytest.raises(XcError, match="no OpenAPI 3 document"):
        extract_openapi(tmp_path, tmp_path / "api.jsonl")


def test_a_host_without_a_validator_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jsonschema", None)
    comparison = diff(pair(tmp_path, document("{type: string}"), document("{type: integer}")))
    assert comparison.breaking
    assert "jsonschema" in str(comparison.unjudged)


def test_scopes_and_defaults(tmp_path: Path) -> None:
    scheme = "components: {securitySchemes: {o: {type: oauth2, flows: {}}}}\nsecurity: [{o: [SCOPES]}]\n"
    old, new = (document("{}", scheme.replace("SCOPES", scopes)) for scopes in ("read", "read, write"))
    assert rules_of(diff(pair(tmp_path / "more", old, new))) == {"OPENAPI-SECURITY-SCOPE-ADDED": ["GET /pets"]}
    assert not diff(pair(tmp_path / "less", new, old)).breaking
    limit = "paths: {/pets: {get: {parameters: [{in: query, name: n, schema: {type: integer, default: D}}], responses: {}}}}\n"
    sides = [HEAD + limit.replace("D", n) for n in ("10", "20")]
    assert rules_of(diff(pair(tmp_path / "default", *sides)), "breaking") == {
        "OPENAPI-PARAM-DEFAULT-CHANGED": ["GET /pets query n"]
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # References behind keywords that are compared as texts.
        ("{not: {$ref: '#/components/schemas/A'}}", "{not: {$ref: '#/components/schemas/B'}}", False),
        (
            "{unevaluatedProperties: false, properties: {a: {}}}",
            "{unevaluatedProperties: false, properties: {a: {}, b: {}}}",
            True,
        ),
        (
            "{additionalProperties: false, patternProperties: {'^a': {}}}",
            "{additionalProperties: false, patternProperties: {'^b': {}}}",
            False,
        ),
    ],
)
def test_keywords_that_look_at_others(tmp_path: Path, old: str, new: str, expected: bool) -> None:
    more = "components: {schemas: {A: {type: string}, B: {type: integer}}}\n"
    comparison = diff(pair(tmp_path, document(old, more), document(new, more)))
    assert comparison.breaking or (comparison.undecided and not expected)


def test_what_a_keyword_refers_to_changed(tmp_path: Path) -> None:
    more = "components: {schemas: {A: {type: TYPE}}}\n"
    schema = "{not: {$ref: '#/components/schemas/A'}}"
    old, new = (document(schema, more.replace("TYPE", name)) for name in ("string", "integer"))
    assert diff(pair(tmp_path, old, new)).breaking


def test_an_error_that_the_default_described(tmp_path: Path) -> None:
    answers = (
        "paths: {/pets: {get: {responses: {default: {content: {application/json: {schema: {type: string}}}}MORE}}}}\n"
    )
    other = ", '404': {content: {application/json: {schema: {type: integer}}}}"
    old, new = HEAD + answers.replace("MORE", ""), HEAD + answers.replace("MORE", other)
    found = rules_of(diff(pair(tmp_path / "other", old, new)), "breaking")
    assert found == {"OPENAPI-RESPONSE-TYPE": ["GET /pets 404 application/json"]}
    same = HEAD + answers.replace("MORE", other.replace("integer", "string"))
    assert not diff(pair(tmp_path / "same", old, same)).breaking


def test_variables_of_servers(tmp_path: Path) -> None:
    server = "servers: [{url: 'https://{r}.example', variables: {r: {default: eu, enum: [eu, VALUE]}}}]\n"
    old, new = (document("{}", server.replace("VALUE", name)) for name in ("us", "cn"))
    assert "OPENAPI-SERVER-REMOVED" in rules_of(diff(pair(tmp_path, old, new)), "breaking")


def test_webhooks_go_the_other_way(tmp_path: Path) -> None:
    hook = "webhooks: {pet: {post: {requestBody: {content: {application/json: {schema: SCHEMA}}}, responses: {}}}}\n"
    old, new = (HEAD + hook.replace("SCHEMA", s) for s in ("{type: string}", "{type: [string, integer]}"))
    found = rules_of(diff(pair(tmp_path / "wider", old, new)), "breaking")
    assert found == {"OPENAPI-RESPONSE-TYPE": ["WEBHOOK POST pet request application/json"]}
    assert not diff(pair(tmp_path / "narrower", new, old)).breaking


def test_a_choice_within_an_alternative(tmp_path: Path) -> None:
    """An alternative that is a choice itself: what its own alternatives lose is lost."""
    inner = "{anyOf: [{type: boolean}, {anyOf: [{type: object, required: [d], properties: {d: {}, c: {type: C}}}]}]}"
    body = "paths: {/pets: {post: {requestBody: {content: {application/json: {schema: SCHEMA}}}, responses: {}}}}\n"
    old, new = (HEAD + body.replace("SCHEMA", inner.replace("C}", f"{name}}}")) for name in ("string", "number"))
    comparison = diff(pair(tmp_path / "other", old, new))
    assert rules_of(comparison, "breaking") == {"OPENAPI-REQUEST-COMBINATION": ["POST /pets request application/json"]}
    assert not diff(pair(tmp_path / "same", old, old.replace("boolean", "[boolean, 'null']"))).breaking
