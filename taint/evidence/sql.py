"""Read the lineage of SQL text with sqlglot.

sqlglot's own `lineage()` gives what a result is made of and leaves out the columns in JOIN, WHERE,
GROUP BY and ORDER BY, which is where people are matched. So the text is qualified by sqlglot and its
scopes are followed here, through common table expressions, subqueries, set operations and windows.

What cannot be read is a gap, never an empty answer: text that does not parse, and `SELECT *` from a
table whose columns are not known.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taint.evidence.lineage import Column, Input, Lineage, Output, Use, reused
from taint.guard import report_internal_error

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

__all__ = ["EVERY_COLUMN", "read_sql"]

EVERY_COLUMN = "*"
"""The name of a `Column` that stands for all columns of its table."""

_PARAMETER = re.compile(r"%\(\w+\)[sbt]|%[sbt](?!\w)|%%")
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(\w*)", re.DOTALL)
_COPY = re.compile(
    r"""\s*copy\s+(?:\((?P<query>.*)\)|(?P<table>[\w."]+)\s*(?:\((?P<columns>[^()]*)\))?)\s*\b(?P<way>to|from)\b""",
    re.IGNORECASE | re.DOTALL,
)
_READ_HERE = frozenset(
    ("select", "with", "insert", "replace", "update", "delete", "merge", "values", "table", "create")
)
_READ_NOTHING = frozenset(
    (
        *("", "abort", "alter", "analyze", "attach", "begin", "checkpoint", "close", "comment", "commit", "deallocate"),
        *("detach", "discard", "drop", "end", "explain", "grant", "listen", "lock", "notify", "pragma", "reindex"),
        *(
            "release",
            "reset",
            "revoke",
            "rollback",
            "savepoint",
            "set",
            "show",
            "start",
            "truncate",
            "unlisten",
            "vacuum",
        ),
    )
)
_reading: ContextVar[bool] = ContextVar("taint_reading_sql", default=False)


class _Quiet(logging.Filter):
    """Keeps back what sqlglot logs while it reads for this library: its warnings show the text, and so the values."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return not _reading.get()


logging.getLogger("sqlglot").addFilter(_Quiet())


def read_sql(text: str, dialect: str, tables: Mapping[str, Iterable[str]]) -> Lineage:  # noqa: PLR0911  # One for each reason.
    """Read a statement.

    Args:
        text: One SQL statement, with the placeholders of any Python driver.
        dialect: `sqlite`, `postgres` or another of sqlglot's.
        tables: The columns of the tables that are known, by name in lower case.

    Returns:
        Its lineage. A statement that reads no table (`BEGIN`, `PRAGMA`) has an empty one.
    """
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError:
        return Lineage(gaps=("SQL text is read by sqlglot, which is not installed (the extra 'sql')",))
    text = _copied(text)
    text = _PARAMETER.sub(lambda found: "%" if found[0] == "%%" else "NULL", text)
    first = _FIRST_WORD.match(text)
    word = first[1].lower() if first is not None else ""
    if word in _READ_NOTHING:
        return Lineage()
    if word not in _READ_HERE:
        return Lineage(gaps=(f"statements that begin with {word.upper()!r} are not read",))
    token = _reading.set(True)
    try:
        statements = [one for one in sqlglot.parse(text, read=dialect) if one is not None]
        readings = [_Reader(dialect, tables).statement(one) for one in statements]
    except (SqlglotError, RecursionError) as error:
        # Not its message: that shows the text, and the text may hold values.
        return Lineage(gaps=(f"the SQL text cannot be read as {dialect!r} ({type(error).__name__})",))
    except Exception as error:  # noqa: BLE001  # A form of SQL that nobody thought of must not stop the program.
        report_internal_error("reading SQL text", error)
        return Lineage(gaps=(f"the SQL text cannot be followed ({type(error).__name__})",))
    finally:
        _reading.reset(token)
    if len(readings) == 1:
        return readings[0]
    return Lineage(
        readings[-1].outputs if readings else (),
        frozenset().union(*(reading.inputs for reading in readings)),
        tuple(gap for reading in readings for gap in reading.gaps),
        frozenset().union(*(reading.written for reading in readings)),
        tuple(view for reading in readings for view in reading.defines),
    )


def _copied(text: str) -> str:
    """Write PostgreSQL's COPY as the statement that reads or writes the same columns."""
    found = _COPY.match(text)
    if found is None:
        return text
    if found["query"] is not None:
        return found["query"]
    columns = found["columns"]
    if found["way"].lower() == "to":
        return f"SELECT {columns or '*'} FROM {found['table']}"  # noqa: S608  # It is read here, and never executed.
    listed = f" ({columns})" if columns else ""
    return f"INSERT INTO {found['table']}{listed} VALUES (NULL)"  # noqa: S608  # As above.


@dataclass(slots=True)
class _Result:
    """What one query in the statement gives, for those around it."""

    outputs: list[tuple[str, frozenset[Input]]] = field(default_factory=list)
    dataset: frozenset[Input] = frozenset()
    rest: frozenset[Input] = frozenset()
    """What an output that is not named may be made of: there was a `*`, or it is a function."""

    def named(self, name: str) -> frozenset[Input]:
        for known, inputs in self.outputs:
            if known == name:
                return inputs
        return self.rest


class _Reader:
    def __init__(self, dialect: str, tables: Mapping[str, Iterable[str]]) -> None:
        self.dialect = dialect
        self.schema = {table: dict.fromkeys(columns, "unknown") for table, columns in tables.items()}
        self.results: dict[int, _Result] = {}
        self.gaps: list[str] = []
        self.written: set[Column] = set()
        self.defines: list[tuple[str, str]] = []

    def statement(self, parsed: Any) -> Lineage:
        from sqlglot import exp

        if isinstance(parsed, exp.Query):
            result = self.query(parsed)
        elif isinstance(parsed, exp.Insert | exp.Create):
            result = self.insert(parsed)
        elif isinstance(parsed, exp.Update | exp.Delete | exp.Merge):
            result = self.change(parsed)
        else:
            result = _Result()
            self.gaps.append(f"a statement of kind {type(parsed).__name__.upper()!r} is not read")
        outputs, dataset = tuple(Output(*output) for output in result.outputs), result.dataset
        if result.rest:
            # Positions are not known any more: everything is on every output.
            dataset, outputs = dataset.union(result.rest, *(output.inputs for output in outputs)), ()
        return Lineage(outputs, dataset, tuple(self.gaps), frozenset(self.written), tuple(self.defines))

    def query(self, parsed: Any) -> _Result:
        from sqlglot.optimizer.qualify import qualify
        from sqlglot.optimizer.scope import build_scope

        _flatten_joins(parsed)
        known = {table.name.lower() for table in _tables(parsed)}
        schema: Any = {table: columns for table, columns in self.schema.items() if table in known} or None
        qualified = qualify(
            parsed,
            dialect=self.dialect,
            schema=schema,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
        scope = build_scope(qualified)
        return _Result() if scope is None else self.scope(scope)

    def insert(self, parsed: Any) -> _Result:
        """Read `INSERT ... SELECT` and `CREATE TABLE ... AS`: all that the query uses is written."""
        from sqlglot import exp

        source = parsed.expression
        result = _Result()
        if isinstance(parsed, exp.Create) and parsed.kind == "VIEW":
            self.defines.append(self.view(parsed))
            return result  # What it reads is used by whoever reads the view.
        if isinstance(parsed, exp.Insert):
            self.writes(parsed.this)
            conflict = parsed.args.get("conflict")
            self.sets(parsed.this, () if conflict is None else conflict.expressions)
        if isinstance(source, exp.Query):
            if parsed.args.get("with_") is not None and source.args.get("with_") is None:
                source.set("with_", parsed.args["with_"])
            inner = self.query(source)
            result.dataset = inner.dataset.union(inner.rest, *(inputs for _, inputs in inner.outputs))
        returning = parsed.args.get("returning")
        target = parsed.this.this if isinstance(parsed.this, exp.Schema) else parsed.this
        if returning is not None and isinstance(target, exp.Table):
            given = self.query(exp.select(*returning.expressions).from_(target.copy()))
            result.outputs, result.rest = given.outputs, given.rest
        return result

    def change(self, parsed: Any) -> _Result:
        """Read UPDATE, DELETE and MERGE as the query that finds their rows."""
        from sqlglot import exp

        returning = parsed.args.get("returning")
        given = [] if returning is None else list(returning.expressions)
        if isinstance(parsed, exp.Update):
            self.sets(parsed.this, parsed.expressions)
        written = [one.expression for one in parsed.expressions if isinstance(one, exp.EQ)]
        query = exp.select(*(one.copy() for one in (*given, *written))) if given or written else exp.select("1")
        query = query.from_(parsed.this.copy())
        for name in ("from_", "using"):
            more = parsed.args.get(name)
            for table in more if isinstance(more, list) else [more]:
                if isinstance(table, exp.Expression):
                    query = query.join((table.this if isinstance(table, exp.From) else table).copy(), join_type="cross")
        for condition in (parsed.args.get("where"), parsed.args.get("on")):
            if condition is not None:
                query = query.where((condition.this if isinstance(condition, exp.Where) else condition).copy())
        if parsed.args.get("with_") is not None:
            query.set("with_", parsed.args["with_"].copy())
        if isinstance(parsed, exp.Merge):
            self.gaps.append("what MERGE writes is not read")  # Its branches may write any column.
        return self.query(query)

    def view(self, parsed: Any) -> tuple[str, str]:
        """Give a view's name, and its query with its columns' names as the view has them."""
        from sqlglot import exp

        table, query = parsed.this, parsed.expression
        if isinstance(table, exp.Schema):
            names = [column.name for column in table.expressions]
            table = table.this
            if isinstance(query, exp.Select) and len(names) == len(query.expressions) and not query.is_star:
                query = query.copy()
                named = zip(query.expressions, names, strict=True)
                query.set("expressions", [exp.alias_(one.unalias(), name) for one, name in named])
            else:
                self.gaps.append(f"the columns of view {table.name.lower()!r} have names that are not followed")
        return _table_name(table), query.sql(dialect=self.dialect)

    def writes(self, target: Any) -> None:
        """Note what INSERT writes: the columns that it lists, or all that are known."""
        from sqlglot import exp

        listed = isinstance(target, exp.Schema)
        table = _table_name(target.this if listed else target)
        names = [one.name.lower() for one in target.expressions] if listed else self.schema.get(table, ())
        self.written.update(Column(table, name) for name in names)

    def sets(self, target: Any, assignments: Iterable[Any]) -> None:
        """Note what `SET a = 1, b = 2` writes."""
        from sqlglot import exp

        table = _table_name(target.this if isinstance(target, exp.Schema) else target)
        for one in assignments:
            if isinstance(one, exp.EQ):
                columns = one.this.find_all(exp.Column) if not isinstance(one.this, exp.Column) else [one.this]
                self.written.update(Column(table, column.name.lower()) for column in columns)

    def scope(self, scope: Scope) -> _Result:
        known = self.results.get(id(scope.expression))
        if known is not None:
            return known
        result = self.results[id(scope.expression)] = _Result()  # Before it is filled: a recursive query finds itself.
        from sqlglot import exp

        if scope.set_operation_scopes:
            left, right = (self.scope(one) for one in scope.set_operation_scopes)
            outputs = [
                (name, inputs | (right.outputs[index][1] if index < len(right.outputs) else right.rest))
                for index, (name, inputs) in enumerate(left.outputs)
            ]
            result.outputs, result.rest = outputs, left.rest | right.rest
            result.dataset = left.dataset | right.dataset
        elif isinstance(scope.expression, exp.Select):
            self.select(scope, result)
        else:  # A function that gives rows, VALUES: each of its columns may be made of all that it reads.
            result.rest = self.children(scope.expression, scope, Use.TRANSFORMATION)
        return result

    def select(self, scope: Scope, result: _Result) -> None:
        from sqlglot import exp

        select: Any = scope.expression
        for _, source in scope.selected_sources.values():
            if not isinstance(source, exp.Table):
                result.dataset |= self.scope(source).dataset
        for projection in select.expressions:
            if projection.is_star:
                result.rest |= self.star(projection, scope)
            else:
                name = projection.alias_or_name.lower()
                result.outputs.append((name, self.inputs(projection, scope, Use.IDENTITY)))
        for join in select.args.get("joins") or ():
            if join.method == "NATURAL":
                result.dataset |= self.every_column(scope, Use.JOIN)
            for condition in (join.args.get("on"), *(join.args.get("using") or ())):
                result.dataset |= self.inputs(condition, scope, Use.JOIN)
        for name, use in (
            *(("where", Use.FILTER), ("group", Use.GROUP_BY), ("having", Use.FILTER), ("qualify", Use.FILTER)),
            *(("order", Use.SORT), ("distinct", Use.FILTER), ("limit", Use.FILTER), ("windows", Use.WINDOW)),
        ):
            clause = select.args.get(name)
            for part in clause if isinstance(clause, list) else [clause]:
                result.dataset |= self.inputs(part, scope, use)

    @staticmethod
    def every_column(scope: Scope, use: Use) -> frozenset[Input]:
        from sqlglot import exp

        tables = [source for _, source in scope.selected_sources.values() if isinstance(source, exp.Table)]
        return frozenset(Input(Column(_table_name(table), EVERY_COLUMN), use) for table in tables)

    def star(self, projection: Any, scope: Scope) -> frozenset[Input]:
        """Read a `*` that qualifying could not replace by names."""
        from sqlglot import exp

        only = projection.table.lower() if isinstance(projection, exp.Column) else ""
        found: frozenset[Input] = frozenset()
        for alias, (_, source) in scope.selected_sources.items():
            if only and alias.lower() != only:
                continue
            if isinstance(source, exp.Table):
                self.gaps.append(f"the columns of table {source.name.lower()!r} are not known, so that '*' is all")
                found |= {Input(Column(_table_name(source), EVERY_COLUMN), Use.IDENTITY)}
            else:
                inner = self.scope(source)
                found = found.union(inner.rest, *(inputs for _, inputs in inner.outputs))
        return found

    def inputs(self, node: Any, scope: Scope, use: Use) -> frozenset[Input]:
        """Find the columns in a part of a query, with what is done with each."""
        from sqlglot import exp

        if node is None or not isinstance(node, exp.Expression):
            found: frozenset[Input] = frozenset()
        elif isinstance(node, exp.Column):
            found = self.column(node, scope, use)
        elif isinstance(node, exp.Query):
            found = self.subquery(node, scope, use)
        elif isinstance(node, exp.Window):
            found = self.inputs(node.this, scope, _inside(use, Use.TRANSFORMATION))
            for part in (*(node.args.get("partition_by") or ()), node.args.get("order")):
                found |= self.inputs(part, scope, Use.WINDOW)
        elif isinstance(node, exp.Case):
            results = [*(branch.args.get("true") for branch in node.args.get("ifs") or ()), node.args.get("default")]
            conditions = [node.this, *(branch.this for branch in node.args.get("ifs") or ())]
            found = frozenset().union(*(self.inputs(one, scope, _inside(use, Use.TRANSFORMATION)) for one in results))
            found = found.union(*(self.inputs(one, scope, _inside(use, Use.CONDITIONAL)) for one in conditions))
        elif isinstance(node, exp.Filter):
            found = self.inputs(node.this, scope, use) | self.inputs(node.expression, scope, Use.FILTER)
        elif isinstance(node, exp.Alias | exp.Paren | exp.Ordered):
            found = self.inputs(node.this, scope, use)
        else:
            is_aggregate = isinstance(node, exp.AggFunc)
            found = self.children(node, scope, _inside(use, Use.AGGREGATION if is_aggregate else Use.TRANSFORMATION))
        return found

    def children(self, node: Any, scope: Scope, use: Use) -> frozenset[Input]:
        return frozenset().union(*(self.inputs(child, scope, use) for child in node.iter_expressions()))

    def subquery(self, node: Any, scope: Scope, use: Use) -> frozenset[Input]:
        query = node.unnest()
        for inner in (*scope.subquery_scopes, *scope.derived_table_scopes):
            if inner.expression is query:
                result = self.scope(inner)
                made_of = result.rest.union(*(inputs for _, inputs in result.outputs))
                return reused(made_of, _inside(use, Use.TRANSFORMATION)) | result.dataset
        self.gaps.append("a subquery could not be followed")
        return frozenset()

    def column(self, node: Any, scope: Scope, use: Use) -> frozenset[Input]:
        from sqlglot import exp

        name = node.name.lower()
        at: Scope | None = scope
        own: frozenset[Input] = frozenset()
        if use in (Use.SORT, Use.GROUP_BY, Use.FILTER):  # It may be the name of a result: ORDER BY 2, HAVING total > 1.
            own = reused(self.results[id(scope.expression)].named(name), use)
        while at is not None:
            sources = at.sources
            if node.table:
                sources = {alias: source for alias, source in sources.items() if alias.lower() == node.table.lower()}
            found: frozenset[Input] = frozenset()
            for source in sources.values():
                if not isinstance(source, exp.Table):
                    found |= reused(self.scope(source).named(name), use)
                elif source.name:
                    found |= {Input(Column(_table_name(source), name), use)}
            if sources:
                return found | own
            at = at.parent
        return own


def _flatten_joins(parsed: Any) -> None:
    """Write `FROM (a JOIN b ON ...)` without its parentheses: for what is read, their order makes no difference."""
    from sqlglot import exp

    while True:
        inside = [one for one in parsed.find_all(exp.Subquery) if isinstance(one.this, exp.Table) and not one.alias]
        inside = [one for one in inside if isinstance(one.parent, exp.From | exp.Join)]
        if not inside:
            return
        for one in inside:
            table, select = one.this, one.find_ancestor(exp.Select)
            if select is None:
                return
            select.set("joins", [*(table.args.get("joins") or ()), *(select.args.get("joins") or ())])
            table.set("joins", None)
            one.replace(table)


def _tables(parsed: Any) -> Iterable[Any]:
    from sqlglot import exp

    found: Iterable[Any] = parsed.find_all(exp.Table)
    return found


def _table_name(table: Any) -> str:
    return ".".join(part.lower() for part in (table.db, table.name) if part)


def _inside(use: Use, own: Use) -> Use:
    """Give the use of what stands inside an expression: what decides stays so, whatever it is made of."""
    return use if use.derivation == "indirect" or use is Use.AGGREGATION else own
