"""What an XTuner config file says, read without running it.

A config is Python, and running a stranger's is running a stranger's program. XTuner's own (0.2.0) are imports
and assignments of literals, names, ``dict(…)`` and a little arithmetic, all of which a reader can follow; what
it cannot follow stands in the result as an :class:`Unread`, with its line.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from core.errors import NotAConfig
from core.wording import say

Values: TypeAlias = dict[str, Any]

LARGEST_FILE = 1_000_000  # bytes
# What arithmetic may make: a file of ten lines must not fill the memory.
LONGEST, LARGEST_POWER = 100_000, 64


@dataclass(frozen=True)
class Name:
    """What an import in the file stands for, by its dotted name; nothing is imported."""

    dotted: str

    def __str__(self) -> str:
        return self.dotted


@dataclass(frozen=True)
class Unread:
    """An expression that only running the file would tell."""

    source: str
    line: int

    def __str__(self) -> str:
        return self.source


class _Unfollowed(Exception):
    """Raised inside an expression; it becomes an Unread."""


def read_config(content: bytes, name: str) -> Values:
    """The variables of a config file as they stand at its end. ``name`` is what an error calls the file.

    Dictionaries, lists, numbers and texts are plain; imports are :class:`Name`. Raises NotAConfig.
    """
    if len(content) > LARGEST_FILE:
        raise NotAConfig(path=name, reason=say("config.too_large", limit=LARGEST_FILE // 1000))
    try:
        tree = ast.parse(content.decode("utf-8-sig"))
        reader = _Reader()
        reader.run(tree.body)
    except SyntaxError as error:
        raise NotAConfig(path=name, reason=say("config.not_python", line=error.lineno or 0)) from error
    except UnicodeDecodeError as error:
        raise NotAConfig(path=name, reason=say("file.not_utf8", line=1)) from error
    except (RecursionError, MemoryError, ValueError) as error:  # ValueError: a null byte
        raise NotAConfig(path=name, reason=say("file.too_deep")) from error
    return reader.values


_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_SIGNS: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_PLAIN = (int, float, str, bool, type(None))
_CALLS: Mapping[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "len": len,
    "max": max,
    "min": min,
    "round": round,
    "list": list,
    "tuple": tuple,
}
_JOINERS = {"os.path.join"}


class _Reader:
    """The statements of a file, one after the other."""

    def __init__(self) -> None:
        self.values: Values = {}

    def run(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.Import() | ast.ImportFrom():
                    self._import(statement)
                case ast.Assign(targets=targets, value=value):
                    found = self._value(value)
                    for target in targets:
                        self._assign(target, found)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._assign(target, self._value(value))
                case ast.AugAssign(target=ast.Name(name), op=op, value=value):
                    together = ast.BinOp(ast.Name(name, ast.Load()), op, value)
                    self.values[name] = self._value(ast.copy_location(together, statement))
                case ast.If(test=test, body=body, orelse=orelse):
                    self._if(statement, self._value(test), body, orelse)
                case ast.Expr(value=ast.Constant()) | ast.Pass():
                    pass
                case _:
                    self._give_up_on(statement)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        before = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
        for one in statement.names:
            self.values[one.asname or one.name.partition(".")[0]] = Name(
                before + (one.name if before or one.asname else one.name.partition(".")[0])
            )

    def _assign(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(name):
                self.values[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                fits = isinstance(value, list | tuple) and len(value) == len(targets)
                for place, one in enumerate(targets):
                    self._assign(one, value[place] if fits else _unread(target))
            case ast.Subscript(value=owner, slice=key):
                self._put(target, self._value(owner), self._value(key), value)
            case ast.Attribute(value=owner, attr=key):
                self._put(target, self._value(owner), key, value)
            case _:
                self._give_up_on(target)

    def _put(self, target: ast.expr, owner: Any, key: Any, value: Any) -> None:
        if isinstance(owner, dict) and isinstance(key, str):
            owner[key] = value
        else:
            self._give_up_on(target)

    def _if(self, statement: ast.If, test: Any, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        if isinstance(test, _PLAIN):
            self.run(body if test else orelse)
        else:
            self._give_up_on(statement)

    def _give_up_on(self, node: ast.AST) -> None:
        """Whatever a statement may name or change is unknown from here on."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.values[node.name] = _unread(node)
            return
        for found in ast.walk(node):
            if isinstance(found, ast.Name) and (found.id in self.values or isinstance(found.ctx, ast.Store)):
                if not isinstance(self.values.get(found.id), Name):
                    self.values[found.id] = _unread(node)

    def _value(self, node: ast.expr) -> Any:
        try:
            return self._evaluate(node)
        except (_Unfollowed, ArithmeticError, AttributeError, TypeError, ValueError, LookupError):
            return _unread(node)

    def _evaluate(self, node: ast.expr) -> Any:
        """Containers keep what is unread inside them; an operation on it is unread as a whole."""
        match node:
            case ast.Constant(value=value) if isinstance(value, _PLAIN):
                return value
            case ast.Name(name):
                return self._known(name)
            case ast.List(elts=elements):
                return [self._value(one) for one in elements]
            case ast.Tuple(elts=elements):
                return tuple(self._value(one) for one in elements)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                return {
                    str(self._plain(key)): self._value(v) for key, v in zip(keys, values, strict=True) if key
                }
            case ast.Attribute(value=owner, attr=attribute):
                return self._attribute(self._evaluate(owner), attribute)
            case ast.Subscript(value=owner, slice=key):
                return self._evaluate(owner)[self._plain(key)]
            case ast.Call():
                return self._call(node)
            case ast.BinOp(left=left, op=op, right=right):
                return _small(_operate(op, self._operand(left), self._operand(right)))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
                return _SIGNS[type(op)](self._plain(operand))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._evaluate(body if self._plain(test) else orelse)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return _COMPARISONS[type(op)](self._operand(left), self._operand(right))
            case ast.BoolOp(op=op, values=values):
                found = [self._plain(one) for one in values]
                return all(found) if isinstance(op, ast.And) else any(found)
            case ast.JoinedStr(values=values):
                return _small("".join(str(self._piece(one)) for one in values))
        raise _Unfollowed

    def _known(self, name: str) -> Any:
        if name not in self.values:
            raise _Unfollowed
        return self.values[name]

    def _attribute(self, owner: Any, attribute: str) -> Any:
        if isinstance(owner, Name):
            return Name(f"{owner.dotted}.{attribute}")
        if isinstance(owner, dict):
            return owner[attribute]
        raise _Unfollowed

    def _call(self, node: ast.Call) -> Any:
        function = ast.unparse(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            return _replaced(self._plain(node.func.value), *map(self._plain, node.args))
        if function in {"dict", "ConfigDict"} and not node.args:
            return self._dictionary(node)
        arguments = [self._plain(one) if function != "len" else self._operand(one) for one in node.args]
        if node.keywords:
            raise _Unfollowed
        if function in _JOINERS or str(self.values.get(function.partition(".")[0])) + ".join" in _JOINERS:
            return str(PurePosixPath(*arguments))
        if function in _CALLS:
            return _CALLS[function](*arguments)
        raise _Unfollowed

    def _dictionary(self, node: ast.Call) -> Values:
        found: Values = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                found.update(self._evaluate(keyword.value))
            else:
                found[keyword.arg] = self._value(keyword.value)
        return found

    def _piece(self, node: ast.expr) -> Any:
        if isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
            return self._plain(node.value)
        return self._plain(node)

    def _plain(self, node: ast.expr) -> Any:
        """A number or a text; anything else is not followed further."""
        found = self._evaluate(node)
        if not isinstance(found, _PLAIN):
            raise _Unfollowed
        return found

    def _operand(self, node: ast.expr) -> Any:
        found = self._evaluate(node)
        if not isinstance(found, (*_PLAIN, list, tuple)):
            raise _Unfollowed
        return found


def _unread(node: ast.AST) -> Unread:
    return Unread(" ".join(ast.unparse(node).split())[:200], getattr(node, "lineno", 0))


def _operate(op: ast.operator, left: Any, right: Any) -> Any:
    if type(op) not in _OPERATORS:
        raise _Unfollowed
    if isinstance(op, ast.Pow) and abs(right) > LARGEST_POWER:
        raise _Unfollowed
    if isinstance(op, ast.Mod) and isinstance(left, str):
        raise _Unfollowed  # "%1000000d" % 1 is a formatter
    for sequence, times in ((left, right), (right, left)):
        if isinstance(op, ast.Mult) and isinstance(sequence, str | list | tuple):
            if len(sequence) * times > LONGEST:
                raise _Unfollowed
    return _OPERATORS[type(op)](left, right)


def _replaced(text: Any, old: Any, new: Any) -> str:
    if text.count(old) * len(new) > LONGEST:
        raise _Unfollowed
    return str(text.replace(old, new))


def _small(value: Any) -> Any:
    too_long = isinstance(value, str | list | tuple) and len(value) > LONGEST
    too_large = isinstance(value, int) and value.bit_length() > LONGEST
    if too_long or too_large:
        raise _Unfollowed
    return value
