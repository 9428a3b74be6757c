"""Statements applied one after the other: what a directory of migrations makes of an empty database."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from pytest_xinchuang.packages.sdk_ast.sql.dialects import Dialect
from pytest_xinchuang.packages.sdk_ast.sql.elements import Elements, Facts, columns
from pytest_xinchuang.packages.sdk_ast.sql.statements import Statement, parse
from pytest_xinchuang.packages.sdk_ast.sql.types import type_text

_NO_SCHEMA = (exp.Insert, exp.Update, exp.Delete, exp.Select, exp.Set, exp.Transaction, exp.Commit, exp.Rollback, exp.Comment,
              exp.Pragma, exp.Use, exp.Analyze, exp.Merge, exp.TruncateTable, exp.Copy, exp.SetOperation)  # fmt: skip
"""Statements that change no schema: data, transactions, comments, settings of a session."""
_SILENT = re.compile(
    r"^(?:(?:START|BEGIN|END|COMMIT|LOCK|UNLOCK|VACUUM|ANALYZE|REINDEX|CLUSTER|CHECKPOINT|SHOW|EXPLAIN|SAVEPOINT|RELEASE|REFRESH"
    r"|FLUSH|RESET|DISCARD|SET|PREPARE|NOTIFY|OPTIMIZE)\b"
    r"|COMMENT\s+ON\b"
    r"|ALTER\s+\w+(?:\s+\w+)?\s+\S+\s+OWNER\s+TO\b|ALTER\s+SEQUENCE\s+\S+\s+OWNED\s+BY\b"
    r"|ALTER\s+TABLE\s+\S+\s+(?:CLUSTER\s+ON|SET\s+WITHOUT\s+CLUSTER|(?:DISABLE|ENABLE)\s+KEYS|VALIDATE\s+CONSTRAINT)\b"
    r"|ALTER\s+TABLE\s+(?:ONLY\s+)?\S+\s+ALTER\s+(?:COLUMN\s+)?\S+\s+SET\s+(?:STATISTICS|STORAGE)\b)",
    re.IGNORECASE,
)
_NAME = r'((?:"[^"]+"|`[^`]+`|[\w$]+)(?:\.(?:"[^"]+"|`[^`]+`|[\w$]+))*)'
_TABLE = rf"^ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{_NAME}\s+"
_SQLITE_TAIL = re.compile(r"\)\s*((?:WITHOUT\s+ROWID|STRICT)(?:\s*,\s*(?:WITHOUT\s+ROWID|STRICT))*)\s*$", re.IGNORECASE)


class NotUnderstood(Exception):
    """A statement says what is not modelled, or is about what is not known."""


class Catalog:
    """What exists after the statements that were applied.

    Attributes:
        objects: ``table x``, ``view x``, ``type x``, ``sequence x``, ``function x(int)`` -> its facts.
        opaque: texts of statements that were not understood, with the place of the first.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.elements = dialect, Elements(dialect)
        self.objects: dict[str, Facts] = {}
        self.opaque: dict[str, str] = {}
        self._patterns = self._texts()

    def apply(self, statement: Statement) -> None:
        """Apply one; what is not understood of it is kept as text."""
        try:
            self._apply(statement.tree, statement.text)
        except (NotUnderstood, KeyError, AttributeError, TypeError, ValueError, IndexError):
            # Trees of sqlglot have no types: a part that is other than it was seen to be is one that is not understood.
            self.opaque.setdefault(_squeezed(statement.text), f"{statement.file}:{statement.line}")

    def _apply(self, tree: Any, text: str) -> None:
        if tree is None:
            self._text(text)
        elif isinstance(tree, exp.Create):
            self._create(tree, text)
        elif isinstance(tree, exp.Drop):
            self._drop(tree)
        elif isinstance(tree, exp.Alter):
            self._alter(tree)
        elif not isinstance(tree, _NO_SCHEMA):
            raise NotUnderstood
        elif isinstance(tree, exp.Set) and re.search(r"\bsearch_path\b", text, re.IGNORECASE):
            if not re.search(
                r"search_path\s*(?:=|TO)\s*[\"']?(?:public|\"\$user\"\s*,\s*public)\b", text, re.IGNORECASE
            ):
                raise NotUnderstood  # what names mean afterwards depends on it
        elif isinstance(tree, exp.Use):
            raise NotUnderstood

    # -- CREATE

    def _create(self, tree: Any, text: str) -> None:
        kind = str(tree.args.get("kind")).upper()
        if kind == "TABLE":
            self._create_table(tree, {})
        elif kind == "VIEW":
            self._create_view(tree)
        elif kind == "INDEX":
            table, made = self.elements.index(tree.this, unique=bool(tree.args.get("unique")))
            made["name"] = made["name"] or f"{table}_{'_'.join(made.get('columns') or made.get('keys') or ())}_idx"
            if not (tree.args.get("exists") and self._holder(made["name"])):
                self._table(table).setdefault(_list_of(made), []).append(made)
        elif kind == "TYPE":
            name, body = self.elements.relation_name(tree.this), tree.expression
            if isinstance(body, exp.DataType) and body.this is exp.DType.ENUM:
                self.objects[f"type {name}"] = {"of": "enum", "values": [one.name for one in body.expressions]}
            elif isinstance(body, exp.Schema):
                fields = [self.elements.column(one)[0] for one in body.expressions]
                self.objects[f"type {name}"] = {"of": "composite", "columns": fields}
            else:
                raise NotUnderstood
        elif kind == "SEQUENCE":
            said = _squeezed(
                re.sub(r"^.*?\bSEQUENCE\s+(?:IF\s+NOT\s+EXISTS\s+)?\S+", "", text, flags=re.IGNORECASE | re.DOTALL)
            )
            self.objects.setdefault(
                f"sequence {self.elements.relation_name(tree.this)}", {"of": "sequence", "text": said}
            )
        elif kind in ("FUNCTION", "PROCEDURE"):
            self._create_function(tree, kind.lower(), text)
        elif kind != "SCHEMA" and kind != "DATABASE":
            raise NotUnderstood

    def _create_table(self, tree: Any, flags: Facts) -> None:
        schema, properties = tree.this, tree.args.get("properties")
        name = f"table {self.elements.relation_name(schema)}"
        if tree.args.get("exists") and name in self.objects:
            return
        if not isinstance(schema, exp.Schema):
            raise NotUnderstood  # from a query, of another one, a module's
        options: dict[str, str] = {}
        for one in properties.expressions if properties else ():
            if isinstance(one, exp.TemporaryProperty):
                return
            if isinstance(
                one, exp.InheritsProperty | exp.PartitionedOfProperty | exp.LikeProperty | exp.VirtualProperty
            ):
                raise NotUnderstood
            if isinstance(one, exp.AutoIncrementProperty | exp.SchemaCommentProperty):
                continue
            options[type(one).__name__.removesuffix("Property").lower()] = _squeezed(self.elements.text(one))
        made: Facts = {"of": "table", "columns": [], "keys": [], "checks": [], "references": [], "indexes": [], "other": [],
                       "options": {**options, **flags}}  # fmt: skip
        for one in schema.expressions:
            if isinstance(one, exp.LikeProperty):
                raise NotUnderstood
            self._element(name, made, one)
        self.objects[name] = made

    def _element(self, name: str, table: Facts, node: Any, place: int | None = None) -> None:
        if isinstance(node, exp.Identifier):
            node = exp.ColumnDef(this=node)
        if isinstance(node, exp.ColumnDef):
            column, more = self.elements.column(node)
            if any(one["name"] == column["name"] for one in table["columns"]):
                raise NotUnderstood
            table["columns"].insert(len(table["columns"]) if place is None else place, column)
            for one in more:
                self._constrain(name, table, one)
        else:
            found = self.elements.constraint(node)
            self._constrain(name, table, found or {"of": "other", "text": _squeezed(self.elements.text(node))})

    def _constrain(self, name: str, table: Facts, made: Facts) -> None:
        """Add a constraint, under the name that the database gives it where it has none."""
        if made["of"] == "other":
            table["other"].append(made["text"])
            return
        short = name.rpartition(".")[2].removeprefix("table ")
        parts = "_".join(made.get("columns") or made.get("keys") or ())
        given = bool(made["name"])
        if made["of"] == "key" and made["kind"] == "primary":
            if self.dialect.name == "mysql":
                made["name"], given = "PRIMARY", True
            for column in table["columns"]:
                # The SQL standard has no nulls in a primary key; SQLite does, but for integers (its "CREATE TABLE", 3.5).
                if column["name"] in made["columns"] and self.dialect.name != "sqlite":
                    column["null"] = False
        if not given:
            ends = {"key": "pkey" if made.get("kind") == "primary" else "key", "check": "check", "reference": "fkey",
                    "index": "idx"}  # fmt: skip
            made["name"] = self._default_name(table, made, short, parts, ends[made["of"]])
            made["unnamed"] = True
        table[_list_of(made)].append(made)

    def _default_name(self, table: Facts, made: Facts, short: str, parts: str, end: str) -> str:
        """What PostgreSQL and MySQL call a constraint without a name (PostgreSQL: ChooseConstraintName; MySQL 8.0, 13.1.20)."""
        taken = {one["name"] for kind in ("keys", "checks", "references", "indexes") for one in table[kind]}
        if self.dialect.name == "mysql":
            if made["of"] in ("key", "index"):
                base = parts.split("_")[0] if not made.get("columns") else made["columns"][0]
                names = [base, *(f"{base}_{n}" for n in range(2, 99))]
            else:
                names = [f"{short}_{'ibfk' if made['of'] == 'reference' else 'chk'}_{n}" for n in range(1, 999)]
        else:
            base = f"{short}_pkey" if end == "pkey" else f"{short}_{parts}_{end}" if parts else f"{short}_{end}"
            names = [base, *(f"{base}{n}" for n in range(1, 999))]
        return next(name for name in names if name not in taken)

    def _create_view(self, tree: Any) -> None:
        target = tree.this
        name = self.elements.relation_name(target)
        known = {key.split(" ", 1)[1]: facts for key, facts in self.objects.items() if columns(facts) is not None}
        names = self.elements.columns_of(tree.expression, known)
        if isinstance(target, exp.Schema) and target.expressions:
            names = [self.elements.column_name(one) for one in target.expressions]
        properties = tree.args.get("properties")
        stored = any(
            isinstance(one, exp.MaterializedProperty) for one in (properties.expressions if properties else ())
        )
        tables = sorted({self.elements.relation_name(one) for one in tree.expression.find_all(exp.Table)})
        self.objects[f"view {name}"] = {
            "of": "view", "names": names, "query": self.elements.text(tree.expression), "stored": stored, "tables": tables,
            "shown": [self.elements.text(one) for one in getattr(tree.expression, "selects", ())],
            "over": tables[0] if not stored and _is_simple(tree.expression) else "",
        }  # fmt: skip

    def _create_function(self, tree: Any, of: str, text: str) -> None:
        definition = tree.this
        if not isinstance(definition, exp.UserDefinedFunction):
            raise NotUnderstood
        parameters = []
        for one in definition.expressions:
            if not isinstance(one, exp.ColumnDef):
                raise NotUnderstood
            made = self.elements.column(one)[0]
            parameters.append({key: made[key] for key in ("name", "type", "default")})
        properties = tree.args.get("properties")
        returned = next(
            (p for p in (properties.expressions if properties else ()) if isinstance(p, exp.ReturnsProperty)), None
        )
        name = self.elements.relation_name(definition.this)
        body = hashlib.sha256(_squeezed(text).encode()).hexdigest()
        key = f"{of} {name}({', '.join(type_text(one['type']) for one in parameters)})"
        self.objects[key] = {
            "of": "function", "name": name, "parameters": parameters, "body": body,
            "result": _squeezed(self.elements.text(returned.this)) if returned is not None else "",
        }  # fmt: skip

    # -- DROP

    def _drop(self, tree: Any) -> None:
        kind = str(tree.args.get("kind")).upper()
        names = [self.elements.relation_name(one) for one in tree.args.get("tables") or ()]
        if not names:
            raise NotUnderstood
        for name in names:
            if kind == "INDEX":
                self._drop_index(name, exists=bool(tree.args.get("exists")))
            elif kind in ("FUNCTION", "PROCEDURE"):
                types = tree.args.get("expressions")
                found = [key for key in self.objects if key.startswith(f"{kind.lower()} {name}(")]
                if types:
                    wanted = ", ".join(type_text(self.elements.type(one)) for one in types)
                    found = [key for key in found if key.endswith(f"({wanted})")]
                self._gone(found, exists=bool(tree.args.get("exists")))
            elif kind == "SCHEMA":
                inside = [key for key in self.objects if key.split(" ", 1)[1].startswith(f"{name}.")]
                self._gone(inside, exists=True)
            elif kind in ("TABLE", "VIEW", "TYPE", "SEQUENCE", "DOMAIN"):
                key = f"{'type' if kind == 'DOMAIN' else kind.lower()} {name}"
                self._gone([key] if key in self.objects else [], exists=bool(tree.args.get("exists")))
                if kind == "TABLE":
                    self._dropped(name)
            else:
                raise NotUnderstood

    def _dropped(self, name: str) -> None:
        """References to a table that is gone are gone with it, and views of it (CASCADE)."""
        for facts in self.objects.values():
            if facts["of"] == "table":
                facts["references"] = [one for one in facts["references"] if one["table"] != name]

    def _gone(self, keys: list[str], *, exists: bool) -> None:
        if not keys and not exists:
            raise NotUnderstood
        for key in keys:
            del self.objects[key]

    def _drop_index(self, name: str, *, exists: bool) -> None:
        holder = self._holder(name)
        if holder is None:
            if exists:
                return
            raise NotUnderstood
        table, kind = holder
        table[kind] = [one for one in table[kind] if one["name"] != name]

    def _holder(self, name: str) -> tuple[Facts, str] | None:
        short = name.rpartition(".")[2]
        for facts in self.objects.values():
            if facts["of"] == "table":
                for kind in ("indexes", "keys"):
                    if any(one["name"] in (name, short) for one in facts[kind]):
                        return facts, kind
        return None

    # -- ALTER

    def _table(self, name: str) -> Facts:
        key = f"table {name}"
        if key not in self.objects:
            raise NotUnderstood
        return self.objects[key]

    def _alter(self, tree: Any) -> None:
        kind = str(tree.args.get("kind")).upper()
        name = self.elements.relation_name(tree.this)
        actions = tree.args.get("actions") or []
        options = tree.args.get("options") or []
        if kind == "INDEX" and len(actions) == 1 and isinstance(actions[0], exp.AlterRename):
            holder = self._holder(name)
            if holder is None:
                raise NotUnderstood
            self._rename_in(holder[0], name, self.elements.relation_name(actions[0].this))
            return
        if kind not in ("TABLE", "VIEW") or (options and not actions):
            if kind == "TABLE" and all(isinstance(one, exp.AutoIncrementProperty) for one in options):
                return
            if kind == "TABLE":
                made = self._table(name)["options"]
                made |= {
                    type(o).__name__.removesuffix("Property").lower(): _squeezed(self.elements.text(o)) for o in options
                }
                return
            raise NotUnderstood
        if kind == "VIEW":
            if len(actions) != 1 or not isinstance(actions[0], exp.AlterRename):
                raise NotUnderstood
            self._renamed("view", name, self.elements.relation_name(actions[0].this))
            return
        if tree.args.get("exists") and f"table {name}" not in self.objects:
            return
        # Either all of a statement is applied or nothing: half of one makes a schema that never was.
        before = copy.deepcopy(self.objects) if len(actions) > 1 else self.objects
        try:
            for action in actions:
                self._action(name, self._table(name), action, options)
        except Exception:
            self.objects = before
            raise

    def _renamed(self, kind: str, old: str, new: str) -> None:
        if "." in old and "." not in new:
            new = f"{old.rpartition('.')[0]}.{new}"
        facts = self.objects.pop(f"{kind} {old}")
        self.objects[f"{kind} {new}"] = facts
        for one in self.objects.values():
            for reference in one.get("references", ()):
                if reference["table"] == old:
                    reference["table"] = new

    def _action(self, name: str, table: Facts, action: Any, options: Any) -> None:
        if isinstance(action, exp.ColumnDef):
            known = {one["name"] for one in table["columns"]}
            if not (action.args.get("exists") and self.elements.column_name(action.this) in known):
                self._element(f"table {name}", table, action, self._position(table, action.args.get("position")))
        elif isinstance(action, exp.AddConstraint):
            for one in action.expressions:
                found = self.elements.constraint(one)
                if found is None:
                    raise NotUnderstood
                self._constrain(f"table {name}", table, found)
        elif isinstance(action, exp.Drop):
            self._drop_part(table, action)
        elif isinstance(action, exp.DropPrimaryKey):
            table["keys"] = [one for one in table["keys"] if one["kind"] != "primary"]
        elif isinstance(action, exp.RenameColumn):
            self._rename_column(
                name, table, self.elements.column_name(action.this), self.elements.column_name(action.args["to"])
            )
        elif isinstance(action, exp.AlterRename) and options:
            self._rename_column(
                name, table, self.elements.column_name(action.this), self.elements.column_name(options[0].this)
            )
        elif isinstance(action, exp.AlterRename):
            self._renamed("table", name, self.elements.relation_name(action.this))
        elif isinstance(action, exp.RenameIndex):
            self._rename_in(table, action.this.name, action.args["to"].name)
        elif isinstance(action, exp.ModifyColumn):
            self._modify(name, table, action)
        elif isinstance(action, exp.AlterColumn):
            self._alter_column(table, action)
        else:
            raise NotUnderstood

    def _position(self, table: Facts, position: Any) -> int | None:
        if position is None:
            return None
        if str(position.args.get("position")).upper() == "FIRST":
            return 0
        return 1 + _index(table, self.elements.column_name(position.this))

    def _modify(self, name: str, table: Facts, action: Any) -> None:
        definition = action.this
        old = action.args.get("rename_from")
        was = self.elements.column_name(old if old is not None else definition.this)
        at = _index(table, was)
        column, more = self.elements.column(definition)
        for one in more:
            self._constrain(f"table {name}", table, one)
        if any(column["name"] != was and one["name"] == column["name"] for one in table["columns"]):
            raise NotUnderstood
        if column["name"] != was:
            self._rename_column(name, table, was, column["name"])
        if any(key["kind"] == "primary" and column["name"] in key["columns"] for key in table["keys"]):
            column["null"] = False
        table["columns"].pop(at)
        place = self._position(table, definition.args.get("position"))
        table["columns"].insert(at if place is None else place, column)

    def _alter_column(self, table: Facts, action: Any) -> None:
        column = table["columns"][_index(table, self.elements.column_name(action.this))]
        said = {key for key, value in action.args.items() if value is not None and value is not False}
        if action.args.get("dtype") is not None:
            column["type"] = self.elements.type(action.args["dtype"])
            if action.args.get("collate"):
                column["collation"] = self.elements.column_name(action.args["collate"])
        elif "allow_null" in action.args and action.args["allow_null"] is not None:
            column["null"] = bool(action.args["allow_null"])
        elif action.args.get("default") is not None:
            column["default"] = self.elements.text(action.args["default"])
        elif said == {"this", "drop"}:
            column["default"] = ""
            if column["identity"] == "default":
                column["identity"] = ""  # that of a serial column is its default
        else:
            raise NotUnderstood

    def _drop_part(self, table: Facts, action: Any) -> None:
        kind = str(action.args.get("kind")).upper()
        names = action.args.get("tables") or ()
        for one in names:
            if kind == "COLUMN":
                name = self.elements.column_name(one)
                known = [column for column in table["columns"] if column["name"] == name]
                if not known and not action.args.get("exists"):
                    raise NotUnderstood
                table["columns"] = [column for column in table["columns"] if column["name"] != name]
                for part in ("keys", "references", "checks"):
                    table[part] = [held for held in table[part] if name not in held["columns"]]
                table["indexes"] = [held for held in table["indexes"] if name not in held["keys"]]
                continue
            name = self.elements.relation_name(one)
            found = [(part, held) for part in ("keys", "checks", "references", "indexes") for held in table[part]
                     if held["name"] == name]  # fmt: skip
            if not found and not action.args.get("exists"):
                raise NotUnderstood
            for part, held in found:
                table[part].remove(held)

    def _rename_column(self, name: str, table: Facts, old: str, new: str) -> None:
        table["columns"][_index(table, old)]["name"] = new
        for part, key in (("keys", "columns"), ("references", "columns"), ("checks", "columns"), ("indexes", "keys")):
            for one in table[part]:
                one[key] = [new if step == old else step for step in one[key]]
        word = re.compile(rf'(?<![\w"`]){re.escape(old)}(?![\w"`])')
        for one in table["checks"]:
            one["text"] = word.sub(lambda _match: new, one["text"])
        for facts in self.objects.values():
            for one in facts.get("references", ()):
                if one["table"] == name:
                    one["named"] = [new if step == old else step for step in one["named"]]

    @staticmethod
    def _rename_in(table: Facts, old: str, new: str) -> None:
        found = [
            one for part in ("keys", "checks", "references", "indexes") for one in table[part] if one["name"] == old
        ]
        if not found:
            raise NotUnderstood
        found[0]["name"] = new
        found[0].pop("unnamed", None)

    # -- what sqlglot leaves as text

    def _text(self, text: str) -> None:
        if _SILENT.match(text):
            return
        if self.dialect.name == "sqlite" and (match := _SQLITE_TAIL.search(text)):
            tree, _why = parse(text[: match.start() + 1], self.dialect)
            if isinstance(tree, exp.Create) and tree.args.get("kind") == "TABLE":
                words = match[1].upper()
                self._create_table(
                    tree, {key: key for key, said in (("strict", "STRICT"), ("rowid", "ROWID")) if said in words}
                )
                return
        for pattern, handle in self._patterns:
            if match := pattern.match(text):
                handle(match)
                return
        raise NotUnderstood

    def _texts(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], None]]]:
        flags = re.IGNORECASE | re.DOTALL
        value = r"'((?:[^']|'')*)'"
        listed: list[tuple[str, Callable[[re.Match[str]], None]]] = [
            (rf"{_TABLE}RENAME\s+CONSTRAINT\s+{_NAME}\s+TO\s+{_NAME}$", self._text_rename_constraint),
            (rf"{_TABLE}ALTER\s+(?:COLUMN\s+)?{_NAME}\s+(?:ADD|SET)\s+GENERATED\s+(ALWAYS|BY\s+DEFAULT)\b[^,]*$",
             self._identity),
            (rf"{_TABLE}ALTER\s+(?:COLUMN\s+)?{_NAME}\s+DROP\s+IDENTITY(?:\s+IF\s+EXISTS)?$", self._no_identity),
            (rf"{_TABLE}SET\s+SCHEMA\s+{_NAME}$", self._set_schema),
            (rf"{_TABLE}ADD\s+(?:CONSTRAINT\s+{_NAME}\s+)?(UNIQUE|PRIMARY\s+KEY)\s+USING\s+INDEX\s+{_NAME}$",
             self._using_index),
            (r"^(ALTER\s+TABLE\b.*?)\s+(?:NOT\s+VALID|NOT\s+DEFERRABLE)$", self._again),
            (rf"^ALTER\s+TYPE\s+{_NAME}\s+ADD\s+VALUE\s+(?:IF\s+NOT\s+EXISTS\s+)?{value}(?:\s+(BEFORE|AFTER)\s+{value})?$",
             self._add_value),
            (rf"^ALTER\s+TYPE\s+{_NAME}\s+RENAME\s+VALUE\s+{value}\s+TO\s+{value}$", self._rename_value),
            (rf"^CREATE\s+DOMAIN\s+{_NAME}\s+(?:AS\s+)?(.+)$", self._domain),
            (rf"^RENAME\s+TABLE\s+{_NAME}\s+TO\s+{_NAME}$",
             lambda m: self._renamed("table", self._name(m[1]), self._name(m[2]))),
            (rf"^ALTER\s+TYPE\s+{_NAME}\s+RENAME\s+TO\s+{_NAME}$",
             lambda m: self._renamed("type", self._name(m[1]), self._name(m[2]))),
            (rf"^DROP\s+DOMAIN\s+(?:IF\s+EXISTS\s+)?{_NAME}$", lambda m: self._gone([f"type {self._name(m[1])}"], exists=True)),
        ]  # fmt: skip
        return [(re.compile(pattern, flags), handle) for pattern, handle in listed]

    def _name(self, text: str) -> str:
        steps = [
            self.dialect.relation(step.strip('"`'), step[0] in '"`')
            for step in re.findall(r'"[^"]+"|`[^`]+`|[\w$]+', text)
        ]
        return ".".join(steps[1:] if len(steps) > 1 and steps[0] == self.dialect.space else steps)

    def _column(self, text: str) -> str:
        return self.dialect.column(text.strip('"`'), text[0] in '"`')

    def _text_rename_constraint(self, match: re.Match[str]) -> None:
        self._rename_in(self._table(self._name(match[1])), self._name(match[2]), self._name(match[3]))

    def _identity(self, match: re.Match[str]) -> None:
        table = self._table(self._name(match[1]))
        column = table["columns"][_index(table, self._column(match[2]))]
        column |= {"identity": "always" if match[3].upper() == "ALWAYS" else "default", "null": False}

    def _no_identity(self, match: re.Match[str]) -> None:
        table = self._table(self._name(match[1]))
        table["columns"][_index(table, self._column(match[2]))]["identity"] = ""

    def _set_schema(self, match: re.Match[str]) -> None:
        old = self._name(match[1])
        short = old.rpartition(".")[2]
        self._table(old)
        self._renamed(
            "table", old, self._name(f"{match[2]}.{short}") if self._name(match[2]) != self.dialect.space else short
        )

    def _using_index(self, match: re.Match[str]) -> None:
        table = self._table(self._name(match[1]))
        index = self._name(match[4])
        key = next(one for one in table["keys"] if one["name"] == index)
        key["name"] = self._name(match[2]) if match[2] else index
        if match[3].upper() != "UNIQUE":
            table["keys"].remove(key)
            self._constrain("", table, {**key, "kind": "primary"})

    def _again(self, match: re.Match[str]) -> None:
        tree, _why = parse(match[1], self.dialect)
        if not isinstance(tree, exp.Alter):
            raise NotUnderstood
        self._alter(tree)

    def _add_value(self, match: re.Match[str]) -> None:
        values = self.objects[f"type {self._name(match[1])}"]["values"]
        value = match[2].replace("''", "'")
        if value in values:
            return
        at = len(values)
        if match[3]:
            at = values.index(match[4].replace("''", "'")) + (match[3].upper() == "AFTER")
        values.insert(at, value)

    def _rename_value(self, match: re.Match[str]) -> None:
        values = self.objects[f"type {self._name(match[1])}"]["values"]
        values[values.index(match[2].replace("''", "'"))] = match[3].replace("''", "'")

    def _domain(self, match: re.Match[str]) -> None:
        """A domain is read as a column called VALUE, as its checks call it (PostgreSQL 15, CREATE DOMAIN)."""
        tree, _why = parse(f"CREATE TABLE d (VALUE {match[2]})", self.dialect)
        if not isinstance(tree, exp.Create) or len(tree.this.expressions) != 1:
            raise NotUnderstood
        column, more = self.elements.column(tree.this.expressions[0])
        if any(one["of"] != "check" for one in more):
            raise NotUnderstood
        name = self._name(match[1])
        for n, one in enumerate(more):
            one["name"] = one["name"] or f"{name.rpartition('.')[2]}_check{n or ''}"
        self.objects[f"type {name}"] = {"of": "domain", "column": column, "checks": more}


def _is_simple(query: Any) -> bool:
    """Whether it shows columns of one table as they are, so that one may write through it (PostgreSQL 15, CREATE VIEW)."""
    if not isinstance(query, exp.Select):
        return False
    said = {key for key, value in query.args.items() if value}
    source: Any = query.args.get("from_") or query.args.get("from")
    plain = all(isinstance(one, exp.Star) or type(one) is exp.Column for one in query.expressions)
    return plain and said <= {"expressions", "from_", "from"} and isinstance(source.this, exp.Table)


def _list_of(made: Facts) -> str:
    return {"key": "keys", "check": "checks", "reference": "references", "index": "indexes"}[str(made["of"])]


def _index(table: Facts, name: str) -> int:
    return next(at for at, one in enumerate([c["name"] for c in table["columns"]]) if one == name)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
