"""Small changes to a module's code, each of which a test should notice."""

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import cast

from msgspec import Struct

Change = Callable[[ast.AST], ast.AST | None]
"""Makes a node another one; None takes it out."""


class Mutant(Struct, frozen=True):
    """One change of one module: `source` is the line, `what` says how.

    It decides in the lines `first` to `last`, in a call of the outermost function there, or, if
    `at_import`, as the module is made.
    """

    module: str
    line: int
    source: str
    what: str
    first: int
    last: int
    at_import: bool
    place: int
    turn: int


class _Spot(Struct, frozen=True):
    """A node that may be changed, the statement it stands in, and whether a function holds it."""

    node: ast.AST
    statement: ast.AST
    called: bool


_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_REMOVED = (ast.Expr, ast.Assign, ast.AugAssign, ast.Delete)
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


def mutants(path: Path, module: str = "") -> list[Mutant]:
    """List every mutant of one module, which is named as in `fleet.registry`."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found: list[Mutant] = []
    for place, spot in enumerate(_spots(ast.parse(text))):
        first, last = _reach(spot.statement)
        line = _line(spot.node)
        for turn, (what, _) in enumerate(_changes(spot.node)):
            source = lines[line - 1].strip()
            found.append(
                Mutant(
                    module or path.stem,
                    line,
                    source,
                    what,
                    first,
                    last,
                    not spot.called,
                    place,
                    turn,
                )
            )
    return found


def changed(path: Path, mutant: Mutant) -> ast.Module:
    """Parse the module with the mutant in it; all lines keep their numbers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    node = next(islice(_spots(tree), mutant.place, None)).node
    _, change = next(islice(_changes(node), mutant.turn, None))
    _replace(tree, node, change(node))
    return ast.fix_missing_locations(tree)


def _reach(statement: ast.AST) -> tuple[int, int]:
    """Tell a statement's lines, without those of the block that it opens."""
    first = _line(statement)
    match statement:
        case ast.match_case(body=[head, *_]):
            return first, max(first, head.lineno - 1)
        case ast.stmt():
            body = cast("list[ast.stmt]", getattr(statement, "body", []))
            return first, max(first, body[0].lineno - 1) if body else statement.end_lineno or first
        case _:
            return first, first


def _line(node: ast.AST) -> int:
    """Tell where a node is; an arm and a filter have no place of their own."""
    match node:
        case ast.match_case(pattern=placed) | ast.comprehension(target=placed):
            return placed.lineno
        case _:
            return int(getattr(node, "lineno", 1))


def _spots(
    tree: ast.AST, statement: ast.AST | None = None, *, called: bool = False
) -> Iterator[_Spot]:
    """Walk all that may be changed.

    Left out are annotations and texts, the values of an Enum, and named settings and defaults of
    modules and classes: tests take those by name, so that they may be tuned. What only the type
    checker reads decides nothing: `assert_never`, `cast`, `TYPE_CHECKING`, nor do the flags of a
    class and its fields, as `frozen` and `init`, which say what nobody may do. `strict` of a `zip`
    asserts, and that is all.
    """
    for node in _children(tree):
        if isinstance(node, ast.Expr) and (_is_text(node) or _is_for_types(node.value)):
            continue
        if isinstance(tree, ast.Module | ast.ClassDef) and _is_setting(node):
            continue
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(b) for b in node.bases):
            continue
        if isinstance(node, ast.If) and _is_for_types(node.test):
            continue
        if isinstance(node, ast.keyword) and node.arg in ("init", "strict"):
            continue
        around = node if isinstance(node, ast.stmt | ast.match_case) else statement or node
        inside = called or (isinstance(tree, _FUNCTIONS) and node in tree.body)
        yield _Spot(node, around, inside)
        yield from _spots(node, around, called=inside)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant)


def _is_for_types(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="assert_never")) | ast.Name(id="TYPE_CHECKING"):
            return True
        case _:
            return False


def _is_setting(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    return not any(isinstance(each, ast.Name | ast.Call) for each in ast.walk(node.value))


def _children(node: ast.AST) -> list[ast.AST]:
    """List what a node consists of, without what types and bases say: that decides nothing."""
    match node:
        case ast.AnnAssign(value=value):
            return [] if value is None else [value]
        case ast.FunctionDef(args=args, body=body) | ast.AsyncFunctionDef(args=args, body=body):
            return [*args.defaults, *(each for each in args.kw_defaults if each), *body]
        case ast.ClassDef(body=body):
            return [*body]
        case ast.arg():
            return []
        case _:
            return list(ast.iter_child_nodes(node))


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    yield from _operators(node)
    yield from _values(node)
    yield from _branches(node)
    if isinstance(node, _REMOVED):
        yield "the statement went", lambda _: ast.Pass()


def _operators(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare(ops=[only]):
            for other in _COMPARED.get(type(only), ()):
                yield f"{_word(only)} became {_word(other())}", _set(ops=[other()])
        case ast.BoolOp(op=op):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"{_word(op)} became {_word(other)}", _set(op=other)
        case ast.UnaryOp(op=ast.Not()):
            yield "not went", lambda n: n.operand if isinstance(n, ast.UnaryOp) else n
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _COUNTED:
            other = _COUNTED[type(op)]()
            yield f"{_word(op)} became {_word(other)}", _set(op=other)
        case _:
            pass


def _values(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Constant(value=bool(value)):
            yield f"{value} became {not value}", _set(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            for step in (1, -1):
                yield f"{value} became {value + step}", _set(value=value + step)
        case ast.Call(func=ast.Name(id=name)) if name in _SWAPPED:
            yield f"{name} became {_SWAPPED[name]}", _set(func=ast.Name(_SWAPPED[name], ast.Load()))
        case ast.Return(value=value) if value is not None and not _is_falsehood(value):
            yield "None was returned", _set(value=ast.Constant(None))
        case _:
            pass


def _branches(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _turns(test):
            yield "the condition turned", _set(test=_negated(test))
        case ast.comprehension(ifs=[first, *rest]):
            if _turns(first):
                yield "the filter turned", _set(ifs=[_negated(first), *rest])
            yield "the filter went", _set(ifs=rest)
        case ast.match_case(guard=ast.expr() as guard):
            if _turns(guard):
                yield "the guard turned", _set(guard=_negated(guard))
            yield "the guard went", _set(guard=None)
        case ast.Continue():
            yield "continue became break", lambda _: ast.Break()
        case ast.Break():
            yield "break became continue", lambda _: ast.Continue()
        case _:
            pass


def _turns(test: ast.expr) -> bool:
    """Tell whether to turn it is a change of its own, and not that of the comparison in it."""
    match test:
        case ast.UnaryOp(op=ast.Not()) | ast.Constant():
            return False
        case ast.Compare(ops=[only]):
            return type(only) not in _COMPARED
        case _:
            return True


def _set(**fields: object) -> Change:
    def change(node: ast.AST) -> ast.AST:
        for name, value in fields.items():
            setattr(node, name, value)
        return node

    return change


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), deepcopy(test))


def _is_falsehood(value: ast.expr) -> bool:
    """Tell None, and False, which nobody can tell from it in a condition."""
    return isinstance(value, ast.Constant) and (value.value is None or value.value is False)


def _word(node: ast.AST) -> str:
    return type(node).__name__


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST | None) -> None:
    if new is old:
        return
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                items = cast("list[object]", value)
                setattr(parent, name, [new if each is old else each for each in items])
