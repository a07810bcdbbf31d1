"""Small changes to a module's code, each of which a test should notice."""

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import cast

from msgspec import Struct

Change = Callable[[ast.AST], ast.AST | None]
"""Makes a node another one; None takes it out."""


class Mutant(Struct, frozen=True):
    """One changed module: `line` is where, `what` says how, `code` is the whole of it."""

    module: str
    line: int
    source: str
    what: str
    code: str


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
    lines, tree = text.splitlines(), ast.parse(text)
    nodes = list(_decisions(tree))
    found: list[Mutant] = []
    for place, node in enumerate(nodes):
        for what, change in _changes(node):
            changed = _Changer(place, change).apply(tree)
            line = _line(node)
            source = lines[line - 1].strip()
            found.append(Mutant(module or path.stem, line, source, what, ast.unparse(changed)))
    return found


def _line(node: ast.AST) -> int:
    """Tell where a node is; an arm and a filter have no place of their own."""
    match node:
        case ast.match_case(pattern=placed) | ast.comprehension(target=placed):
            return placed.lineno
        case _:
            return int(getattr(node, "lineno", 1))


def _decisions(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk all that may be changed.

    Left out are annotations and texts, the values of an Enum, and named settings and defaults of
    modules and classes: tests take those by name, so that they may be tuned.
    """
    for node in _children(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(tree, ast.Module | ast.ClassDef) and _is_setting(node):
            continue
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(b) for b in node.bases):
            continue
        yield node
        yield from _decisions(node)


def _is_setting(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    return not any(isinstance(each, ast.Name | ast.Call) for each in ast.walk(node.value))


def _children(node: ast.AST) -> list[ast.AST]:
    """List what a node consists of, without what types and bases say: that decides nothing."""
    match node:
        case ast.AnnAssign(value=value):
            return [] if value is None else [value]
        case ast.FunctionDef(args=args, body=body):
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
            yield f"{name} became {_SWAPPED[name]}", _set(func=ast.Name(_SWAPPED[name]))
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield "None was returned", _set(value=ast.Constant(None))
        case _:
            pass


def _branches(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield "the condition turned", _set(test=_negated(node.test))
        case ast.comprehension(ifs=[first, *rest]):
            yield "the filter turned", _set(ifs=[_negated(first), *rest])
            yield "the filter went", _set(ifs=rest)
        case ast.match_case(guard=ast.expr() as guard):
            yield "the guard turned", _set(guard=_negated(guard))
            yield "the guard went", _set(guard=None)
        case ast.Continue():
            yield "continue became break", lambda _: ast.Break()
        case ast.Break():
            yield "break became continue", lambda _: ast.Continue()
        case _:
            pass


def _set(**fields: object) -> Change:
    def change(node: ast.AST) -> ast.AST:
        for name, value in fields.items():
            setattr(node, name, value)
        return node

    return change


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), deepcopy(test))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _word(node: ast.AST) -> str:
    return type(node).__name__


class _Changer:
    """Changes the node at one place of the walk in a copy of the tree."""

    def __init__(self, place: int, change: Change) -> None:
        self._place, self._change = place, change

    def apply(self, tree: ast.Module) -> ast.Module:
        copy = deepcopy(tree)
        for place, node in enumerate(_decisions(copy)):
            if place == self._place:
                _replace(copy, node, self._change(node))
                break
        return ast.fix_missing_locations(copy)


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
