"""Expressions of a config file followed without running them: literals, names, ``dict(…)``, arithmetic."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias, TypeGuard

Values: TypeAlias = dict[str, Any]

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


NOT_THIS = object()


class _Unfollowed(Exception):
    """Raised inside an expression; it becomes an Unread."""


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
PLAIN = (int, float, str, bool, type(None))
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


class Evaluator:
    """Follows expressions over the variables known so far."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def value(self, node: ast.expr) -> Any:
        try:
            return self._evaluate(node)
        except (_Unfollowed, ArithmeticError, AttributeError, TypeError, ValueError, LookupError):
            return unread(node)

    def _evaluate(self, node: ast.expr) -> Any:
        for follow in (self._literal, self._reference, self._operation):
            if (found := follow(node)) is not NOT_THIS:
                return found
        raise _Unfollowed

    def _literal(self, node: ast.expr) -> Any:
        """Containers keep what is unread inside them; an operation on it is unread as a whole."""
        match node:
            case ast.Constant(value=value) if isinstance(value, PLAIN):
                return value
            case ast.List(elts=elements):
                return [self.value(one) for one in elements]
            case ast.Tuple(elts=elements):
                return tuple(self.value(one) for one in elements)
            case ast.Dict(keys=keys, values=values) if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {str(self._plain(key)): self.value(value) for key, value in pairs if key}
            case ast.JoinedStr(values=values):
                return _small("".join(str(self._piece(one)) for one in values))
        return NOT_THIS

    def _reference(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(name) if name in self.values:
                return self.values[name]
            case ast.Attribute(value=owner, attr=attribute):
                return self._attribute(self._evaluate(owner), attribute)
            case ast.Subscript(value=owner, slice=key):
                return self._evaluate(owner)[self._plain(key)]
            case ast.Call():
                return self._call(node)
        return NOT_THIS

    def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _small(_operate(op, self._operand(left), self._operand(right)))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
                return _SIGNS[type(op)](self._plain(operand))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._evaluate(body if self._plain(test) else orelse)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return _COMPARISONS[type(op)](_flat(self._operand(left)), _flat(self._operand(right)))
            case ast.BoolOp(op=op, values=values):
                found = [self._plain(one) for one in values]
                return all(found) if isinstance(op, ast.And) else any(found)
        return NOT_THIS

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
                found[keyword.arg] = self.value(keyword.value)
        return found

    def _piece(self, node: ast.expr) -> Any:
        if isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
            return self._plain(node.value)
        return self._plain(node)

    def _plain(self, node: ast.expr) -> Any:
        """A number or a text; anything else is not followed further."""
        found = self._evaluate(node)
        if not isinstance(found, PLAIN):
            raise _Unfollowed
        return found

    def _operand(self, node: ast.expr) -> Any:
        found = self._evaluate(node)
        if not isinstance(found, (*PLAIN, list, tuple)):
            raise _Unfollowed
        return found


def is_number(value: object) -> TypeGuard[float]:
    """A finite one: a schedule may end at infinity, which is no length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def unread(node: ast.AST) -> Unread:
    return Unread(" ".join(ast.unparse(node).split())[:200], getattr(node, "lineno", 0))


def _operate(op: ast.operator, left: Any, right: Any) -> Any:
    if type(op) not in _OPERATORS:
        raise _Unfollowed
    if isinstance(op, ast.Pow) and abs(right) > LARGEST_POWER:
        raise _Unfollowed
    if isinstance(op, ast.Mod) and isinstance(left, str):
        raise _Unfollowed  # "%1000000d" % 1 is a formatter
    for sequence, times in ((left, right), (right, left)):
        repeated = isinstance(op, ast.Mult) and isinstance(sequence, str | list | tuple)
        if repeated and len(sequence) * times > LONGEST:
            raise _Unfollowed
    return _OPERATORS[type(op)](left, right)


def _flat(value: Any) -> Any:
    """Lists of lists may hold each other many times over: comparing them never ends."""
    if isinstance(value, list | tuple) and not all(isinstance(one, PLAIN) for one in value):
        raise _Unfollowed
    return value


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
