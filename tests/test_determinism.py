"""The core gives the same answer on every machine and every run: nothing in them is by chance.

Reads the source: a set's order changes with the hash seed, `id` and `hash` with the process, and a float with
the care of whoever rounds it. A set is known by how it is made or annotated in the same module; enough to
hold a habit, though no proof.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.sources import Source, program, read

CHANCE = frozenset({"id", "hash", "float", "round", "uuid1", "uuid4"})
"""Calls whose answer is by chance, or no integer."""

ORDERED = frozenset(
    {"list", "tuple", "iter", "next", "enumerate", "zip", "map", "filter", "bytes", "str", "repr"}
)
"""Builtins that keep the order in which their argument is iterated."""

ORDER_FREE = frozenset({"any", "all", "sum", "min", "max", "sorted", "set", "frozenset", "len"})
"""Builtins that give the same for every order."""

ORDERED_METHODS = frozenset({"extend", "join", "fromkeys", "extendleft"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
SET_TYPES = frozenset({"set", "frozenset", "Set", "MutableSet", "AbstractSet"})


class Sets:
    """Which expressions of a module are sets, as far as one can see from how names were made or annotated."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: frozenset[str] = frozenset()
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign | ast.arg) and _is_set_type(node.annotation):
                self._add(node.target if isinstance(node, ast.AnnAssign) else ast.Name(node.arg))
            elif isinstance(node, ast.Assign) and self.contains(node.value):
                for target in node.targets:
                    self._add(target)

    def _add(self, target: ast.expr) -> None:
        self._names |= {_name(target)} - {""}

    def contains(self, node: ast.expr) -> bool:
        """Tell whether an expression is a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=attr)):
                return attr in SET_METHODS and self.contains(value)
            case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub()):
                return any(self.contains(side) or _is_keys(side) for side in (left, right))
            case ast.Name() | ast.Attribute():
                return _name(node) in self._names
        return False


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _is_set_type(annotation: ast.expr | None) -> bool:
    inner = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return inner is not None and _name(inner) in SET_TYPES


def _order_free(tree: ast.Module) -> frozenset[ast.AST]:
    """Comprehensions whose order nobody sees: they make a set, or go straight into an order-free call."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in ORDER_FREE)
    return frozenset({arg for call in calls for arg in call.args}) | frozenset(
        node for node in ast.walk(tree) if isinstance(node, ast.SetComp)
    )


def _iterated(node: ast.AST, order_free: frozenset[ast.AST]) -> Iterator[ast.expr]:
    """The expressions that a node puts in order."""
    match node:
        case (
            ast.For(iter=what)
            | ast.YieldFrom(value=what)
            | ast.Starred(value=what)
            | ast.FormattedValue(value=what)
        ):
            yield what
        case (
            ast.ListComp(generators=generators)
            | ast.GeneratorExp(generators=generators)
            | ast.DictComp(generators=generators)
        ) if node not in order_free:
            yield from (generator.iter for generator in generators)
        case ast.Call(func=ast.Name(id=name), args=args) if name in ORDERED:
            yield from args
        case ast.Call(func=ast.Attribute(attr=name), args=args) if name in ORDERED_METHODS:
            yield from args
        case ast.Call(func=ast.Attribute(value=value, attr="pop"), args=[]):
            yield value


def findings(source: Source) -> list[str]:
    """Lines of a module whose outcome could differ between two runs."""
    sets, order_free, found = Sets(source.tree), _order_free(source.tree), []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _name(node.func) in CHANCE:
            found.append(f"{source.name}:{node.lineno} calls {_name(node.func)}")
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{source.name}:{node.lineno} holds the float {node.value}")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{source.name}:{node.lineno} divides to a float")
        found += [
            f"{source.name}:{what.lineno} puts a set in order: {ast.unparse(what)}"
            for what in _iterated(node, order_free)
            if sets.contains(what)
        ]
    return found


@pytest.mark.parametrize("source", [s for s in program() if s.core], ids=lambda source: source.name)
def test_nothing_in_the_core_is_left_to_chance(source: Source) -> None:
    assert findings(source) == []


@pytest.mark.parametrize(
    "text",
    [
        "for x in {a, b}: send(x)",
        "for x in set(names): send(x)",
        "known: set[bytes] = set()\nfor x in known: send(x)",
        "def f(known: frozenset[bytes]): return list(known)",
        "self.known = set()\nrows = [send(x) for x in self.known]",
        "self.known = set()\nreply = b''.join(self.known)",
        "first = {a, b}.pop()",
        "rows = [*{a, b}]",
        "gone = tuple(old.keys() - new)",
        "text = f'{ {a, b} }'",
        "key = id(peer)",
        "key = hash(peer)",
        "key = uuid.uuid4()",
        "half = n / 2",
        "n *= 0.5",
    ],
)
def test_what_is_left_to_chance_is_found(text: str) -> None:
    assert findings(read("node.chain", text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "for x in sorted({a, b}): send(x)",
        "known: set[bytes] = set()\nok = x in known and len(known) < 3",
        "known = set(names)\nany_new = any(x.new for x in known)",
        "known = set(names)\nids = {x.id for x in known}",
        "for x in {a: 1, b: 2}: send(x)",
        "half = n // 2",
        "row = queue.pop()",
    ],
)
def test_what_is_certain_is_let_through(text: str) -> None:
    assert findings(read("node.chain", text)) == []
