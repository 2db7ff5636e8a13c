"""What an XTuner config file says, read without running it.

A config is Python, and running a stranger's is running a stranger's program. XTuner's own (0.2.0) are
imports and assignments of what :mod:`values` follows; what it cannot follow stands in the result as an
:class:`Unread`, with its line.
"""

import ast
from collections.abc import Iterable
from typing import Any

from core.errors import NotAConfig
from core.recipe.xtuner_file.values import PLAIN, Evaluator, Name, Unread, Values, unread
from core.wording import say

LARGEST_FILE = 1_000_000  # bytes
MOST_PARTS = 500_000


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
    if not _is_finite(reader.values):
        raise NotAConfig(path=name, reason=say("file.too_deep"))
    return reader.values


def _is_finite(values: Values) -> bool:
    """Lists that hold each other twice, thirty times over, are a small file and an endless walk."""
    waiting, seen = [values], 0
    while waiting and seen < MOST_PARTS:
        one: Any = waiting.pop()
        parts = list(one.values()) if isinstance(one, dict) else one if isinstance(one, list | tuple) else ()
        waiting += parts
        seen += 1 + len(parts)
    return not waiting


class _Reader:
    """The statements of a file, one after the other."""

    def __init__(self) -> None:
        self.values: Values = {}
        self._value = Evaluator(self.values).value

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
                    self._assign(one, value[place] if fits else unread(target))
            case ast.Subscript(value=owner, slice=key):
                self._put(target, self._value(owner), self._value(key), value)
            case ast.Attribute(value=owner, attr=key):
                self._put(target, self._value(owner), key, value)
            case _:
                self._give_up_on(target)

    def _put(self, target: ast.expr, owner: Any, key: Any, value: Any) -> None:
        in_list = isinstance(owner, list) and isinstance(key, int) and -len(owner) <= key < len(owner)
        if in_list or (isinstance(owner, dict) and isinstance(key, str)):
            owner[key] = value
        else:
            self._give_up_on(target)

    def _if(self, statement: ast.If, test: Any, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        if isinstance(test, PLAIN):
            self.run(body if test else orelse)
        else:
            self._give_up_on(statement)

    def _give_up_on(self, node: ast.AST) -> None:
        """Whatever a statement may name or change is unknown from here on."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.values[node.name] = Unread(f"{node.name}(…)", node.lineno)  # its own lines say nothing here
            return
        for found in ast.walk(node):
            if not isinstance(found, ast.Name) or isinstance(self.values.get(found.id), Name):
                continue
            if found.id in self.values or isinstance(found.ctx, ast.Store):
                self.values[found.id] = unread(node)
