"""Parts of a table as facts: columns, types, keys, checks, references; what of them is not understood is kept as it stands."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from pytest_xinchuang.packages.sdk_ast.sql.dialects import Dialect

Facts = dict[str, Any]

_SERIAL = {"SMALLSERIAL": "SMALLINT", "SERIAL": "INT", "BIGSERIAL": "BIGINT"}
"""PostgreSQL 15, 8.1.4: an integer that is not null, with a default of a sequence."""
_WIDTHS = frozenset({"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "UTINYINT", "USMALLINT", "UMEDIUMINT", "UINT",
                     "UBIGINT", "YEAR"})  # fmt: skip
"""MySQL 8.0, 11.1.1: a number behind them is how wide they are shown, and nothing else."""


class Elements:
    """Reads what stands between the brackets of CREATE TABLE."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    # -- names and texts

    def column_name(self, node: Any) -> str:
        """The folded name of an identifier, a column, or an index's part."""
        identifier = node.find(exp.Identifier) if not isinstance(node, exp.Identifier) else node
        if identifier is None:
            return str(node)
        return self.dialect.column(identifier.name, bool(identifier.args.get("quoted")))

    def relation_name(self, table: Any) -> str:
        """The folded name of a table, with its schema unless that is the usual one."""
        if isinstance(table, exp.Schema):
            table = table.this
        if isinstance(table, exp.Identifier):
            return self.dialect.relation(table.name, bool(table.args.get("quoted")))
        steps = [table.args.get(key) for key in ("catalog", "db", "this")]
        names = [
            self.dialect.relation(step.name, bool(step.args.get("quoted")))
            for step in steps
            if isinstance(step, exp.Identifier)
        ]
        return ".".join(names[1:] if len(names) > 1 and names[0] == self.dialect.space else names)

    def text(self, node: Any) -> str:
        """An expression as it is compared: names folded, without brackets around it and casts of what is written out."""
        if node is None:
            return ""

        def plain(one: Any) -> Any:
            if isinstance(one, exp.Identifier):
                return exp.to_identifier(self.column_name(one), quoted=False)
            if isinstance(one, exp.Cast) and isinstance(one.this, exp.Literal):
                return one.this
            if isinstance(one, exp.Paren) and isinstance(one.this, exp.Column | exp.Literal | exp.Func):
                return one.this
            return one

        found = node.copy().transform(plain)
        while isinstance(found, exp.Paren):
            found = found.this
        return str(found.sql(dialect=self.dialect.name, comments=False))

    # -- types

    def type(self, kind: Any) -> Facts:
        """Name, arguments, how many arrays it is in, and the values of an enumeration."""
        if kind is None:
            return {"name": "", "args": []}
        arrays = 0
        while isinstance(kind, exp.DataType) and kind.this is exp.DType.ARRAY and kind.expressions:
            kind, arrays = kind.expressions[0], arrays + 1
        if not isinstance(kind, exp.DataType):
            return {"name": self.text(kind), "args": [], "user": True}
        name = str(kind.this.value if hasattr(kind.this, "value") else kind.this)
        made: Facts = {"name": name, "args": [self.text(one) for one in kind.expressions]}
        if name in ("USERDEFINED", "USER-DEFINED"):
            made = {"name": self._user_type(kind.args.get("kind")), "args": made["args"], "user": True}
        elif name in _WIDTHS and not (name == "TINYINT" and made["args"] == ["1"]):
            made["args"] = []
        elif name in ("ENUM", "SET"):
            made = {"name": name, "args": [], "values": [one.name for one in kind.expressions]}
        elif name == "INTERVAL":
            made["args"] = [self.text(kind.args.get("kind"))] if kind.args.get("kind") else made["args"]
        if arrays:
            made["arrays"] = arrays
        return made

    def _user_type(self, kind: Any) -> str:
        if isinstance(kind, str):
            return kind.lower()
        steps = [kind.this, kind.expression] if isinstance(kind, exp.Dot) else [kind]
        names = [self.dialect.relation(one.name, bool(one.args.get("quoted"))) for one in steps]
        return ".".join(names[1:] if len(names) > 1 and names[0] == self.dialect.space else names)

    # -- columns

    def column(self, node: Any) -> tuple[Facts, list[Facts]]:
        """A column, and the constraints of the table that stand with it.

        Constraints are facts with ``of``: ``key``, ``check``, ``reference`` or ``other``.
        """
        name = self.column_name(node.this)
        made: Facts = {
            "name": name,
            "type": self.type(node.args.get("kind")),
            "null": True,
            "default": "",
            "generated": "",
            "identity": "",
            "collation": "",
        }
        base = _SERIAL.get(made["type"]["name"])
        if base and self.dialect.name == "postgres":
            made |= {"type": {"name": base, "args": []}, "null": False, "identity": "default"}
        more: list[Facts] = []
        label = ""
        for constraint in node.args.get("constraints") or ():
            kind = constraint.args.get("kind")
            label = constraint.this.name if isinstance(constraint.this, exp.Identifier) else ""
            self._constraint(made, more, kind, label)
        return made, more

    def _constraint(self, made: Facts, more: list[Facts], kind: Any, label: str) -> None:
        name = made["name"]
        if isinstance(kind, exp.NotNullColumnConstraint):
            made["null"] = bool(kind.args.get("allow_null"))
        elif isinstance(kind, exp.DefaultColumnConstraint):
            value = kind.this
            if isinstance(value, exp.Collate) and isinstance(value.expression, exp.Identifier | exp.Column):
                made["collation"], value = self.column_name(value.expression), value.this
            made["default"] = self.text(value)
        elif isinstance(kind, exp.PrimaryKeyColumnConstraint):
            more.append(self._key("primary", label, [name]))
        elif isinstance(kind, exp.UniqueColumnConstraint):
            more.append(self._key("unique", label, [name], nulls=bool(kind.args.get("nulls"))))
        elif isinstance(kind, exp.CheckColumnConstraint):
            more.append(self._check(label, kind, [name]))
        elif isinstance(kind, exp.Reference):
            more.append(self._reference(label, [name], kind))
        elif isinstance(kind, exp.GeneratedAsIdentityColumnConstraint):
            made |= {"identity": "always" if kind.this else "default", "null": False}
        elif isinstance(kind, exp.AutoIncrementColumnConstraint):
            made["identity"] = "default"
        elif isinstance(kind, exp.ComputedColumnConstraint | exp.GeneratedAsRowColumnConstraint):
            made["generated"] = self.text(kind.this) or kind.sql()
        elif isinstance(kind, exp.CollateColumnConstraint):
            made["collation"] = self.column_name(kind.this)
        elif isinstance(kind, exp.CharacterSetColumnConstraint):
            made["charset"] = self.text(kind.this).lower()
        elif isinstance(kind, exp.OnUpdateColumnConstraint):
            made["on_update"] = self.text(kind.this)
        elif not isinstance(kind, exp.CommentColumnConstraint):
            more.append({"of": "other", "text": f"{name} {self.text(kind)}"})

    # -- constraints of a table

    def constraint(self, node: Any) -> Facts | None:
        """A constraint or index of CREATE TABLE or ALTER TABLE ADD; None: it is none."""
        label = ""
        if isinstance(node, exp.Constraint):
            label = self.dialect.relation(node.this.name, bool(node.this.args.get("quoted")))
            if len(node.expressions) != 1:
                return {"of": "other", "text": self.text(node)}
            node = node.expressions[0]
        if isinstance(node, exp.PrimaryKey):
            return self._key("primary", label, [self._part(one) for one in node.expressions])
        if isinstance(node, exp.UniqueColumnConstraint):
            schema = node.this
            if not isinstance(schema, exp.Schema):
                return {"of": "other", "text": self.text(node)}
            label = label or (schema.this.name if isinstance(schema.this, exp.Identifier) else "")
            nulls = bool(node.args.get("nulls"))
            made = self._key("unique", label, [self._part(one) for one in schema.expressions], nulls=nulls)
            return made | self._deferred(node.args.get("options"))
        if isinstance(node, exp.CheckColumnConstraint | exp.Check):
            columns = sorted({self.column_name(one) for one in node.find_all(exp.Column)})
            return self._check(label, node, columns)
        if isinstance(node, exp.ForeignKey):
            reference = node.args.get("reference")
            columns = [self.column_name(one) for one in node.expressions]
            if reference is None:
                return {"of": "other", "text": self.text(node)}
            return self._reference(label, columns, reference, node)
        if isinstance(node, exp.IndexColumnConstraint):
            label = label or (node.this.name if node.this else "")
            return {"of": "index", "name": label, "keys": [self._part(one) for one in node.expressions], "where": ""}
        return None

    def _part(self, node: Any) -> str:
        if isinstance(node, exp.Ordered):
            made = self._part(node.this)
            return f"{made} DESC" if node.args.get("desc") else made
        if isinstance(node, exp.Identifier | exp.Column):
            return self.column_name(node)
        return self.text(node)

    def _key(self, kind: str, name: str, columns: list[str], *, nulls: bool = False) -> Facts:
        return {"of": "key", "kind": kind, "name": name, "columns": columns, "where": "", "nulls": nulls}

    def _check(self, name: str, node: Any, columns: list[str]) -> Facts:
        return {"of": "check", "name": name, "text": self.text(node.this), "columns": columns}

    def _deferred(self, options: Any) -> Facts:
        words = " ".join(str(one) for one in options or ()).upper()
        return {"deferrable": True} if "DEFERRABLE" in words.replace("NOT DEFERRABLE", "") else {}

    def _reference(self, name: str, columns: list[str], reference: Any, holder: Any = None) -> Facts:
        target = reference.this
        named = [self.column_name(one) for one in target.expressions] if isinstance(target, exp.Schema) else []
        made: Facts = {
            "of": "reference", "name": name, "columns": columns, "table": self.relation_name(target), "named": named,
            "delete": "NO ACTION", "update": "NO ACTION",
        }  # fmt: skip
        options = [str(one).upper() for one in reference.args.get("options") or ()]
        for event in ("delete", "update"):
            if holder is not None and isinstance(holder.args.get(event), str):
                made[event] = holder.args[event].upper()
            for option in options:
                if option.startswith(f"ON {event.upper()} "):
                    made[event] = option.removeprefix(f"ON {event.upper()} ")
        return made | self._deferred(reference.args.get("options"))

    def index(self, node: Any, *, unique: bool) -> tuple[str, Facts]:
        """The table of CREATE INDEX and the index, or the key that a unique one is."""
        params = node.args.get("params")
        parts = [self._part(one) for one in (params.args.get("columns") if params else None) or ()]
        where = params.args.get("where") if params else None
        name = self.dialect.relation(node.this.name, bool(node.this.args.get("quoted"))) if node.this else ""
        table = self.relation_name(node.args["table"])
        if unique:
            columns = [part.removesuffix(" DESC") for part in parts]
            made = self._key("unique", name, columns)
            return table, made | {"where": self.text(where.this) if where else "", "index": True}
        text = self.text(where.this) if where else ""
        using = params.args.get("using") if params else None
        found: Facts = {"of": "index", "name": name, "keys": parts, "where": text}
        if using is not None and using.name.lower() != "btree":
            found["using"] = using.name.lower()
        return table, found

    def columns_of(self, query: Any, known: dict[str, Facts]) -> list[str] | None:
        """The names of what a query gives; None: they cannot be told from it."""
        if isinstance(query, exp.SetOperation):
            return self.columns_of(query.left, known)
        if isinstance(query, exp.Subquery):
            return self.columns_of(query.this, known)
        if not isinstance(query, exp.Select):
            return None
        found: list[str] = []
        for one in query.expressions:
            if isinstance(one, exp.Star) or (isinstance(one, exp.Column) and isinstance(one.this, exp.Star)):
                more = self._starred(query, one, known)
                if more is None:
                    return None
                found += more
            elif one.alias_or_name:
                identifier = one.args.get("alias") if isinstance(one, exp.Alias) else one.this
                if not isinstance(identifier, exp.Identifier):
                    return None
                found.append(self.column_name(identifier))
            else:
                return None
        return found

    def _starred(self, query: Any, star: Any, known: dict[str, Facts]) -> list[str] | None:
        if star.args.get("except_") or star.args.get("replace") or query.args.get("with_"):
            return None
        sources = [query.args.get("from_") or query.args.get("from"), *(query.args.get("joins") or ())]
        tables = [one.this for one in sources if one is not None]
        if not all(isinstance(one, exp.Table) for one in tables):
            return None
        wanted = star.table if isinstance(star, exp.Column) else ""
        if not wanted and any(one.args.get("using") or one.args.get("method") for one in sources[1:]):
            return None
        found: list[str] = []
        for table in tables:
            if wanted and wanted not in (table.alias, table.name):
                continue
            facts = known.get(self.relation_name(table))
            names = None if facts is None else columns(facts)
            if names is None:
                return None
            found += names
        return found


def columns(facts: Facts) -> list[str] | None:
    """The names of a table's or view's columns in order; None: they are not known."""
    if facts["of"] == "view":
        names: list[str] | None = facts["names"]
        return names
    return [one["name"] for one in facts["columns"]] if facts["of"] == "table" else None
