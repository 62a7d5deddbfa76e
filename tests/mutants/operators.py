"""The faults that are made: cosmic-ray's operators, and four that it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.operators.provider import OperatorProvider

# Of each kind those that no other one implies: who notices that “==” became “!=” or “<” became “<=”
# notices the other 60 too, and “is” for “==” is no fault.
NAMES = [
    "AddNot",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_Mul",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Invert",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ZeroIterationForLoop",
]


class InOrNotIn(Operator):
    """``x in y`` for ``x not in y``, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "comparison" and _words(node.children[1]) in ("in", "not in"):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        other = " not in" if _words(node.children[1]) == "in" else " in"
        node.children[1] = parso.parse(other)
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return [Example("x in y", "x not in y"), Example("x not in y", "x in y")]


class CatchLess(Operator):
    """Lets one of the exceptions of an ``except`` pass; cosmic-ray's fails on a dotted name."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        for each in self._exceptions(node):
            yield each.start_pos, each.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        caught = self._exceptions(node)[index]
        siblings = caught.parent.children
        siblings[siblings.index(caught)] = parso.parse(" Unheard")
        return node

    @staticmethod
    def _exceptions(node: Any) -> Sequence[Any]:
        if node.type != "except_clause":
            return []
        caught = node.children[1]
        if caught.type == "atom":
            return [each for each in caught.children[1].children if each != ","]
        return [caught]

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return [Example("try: f()\nexcept a.B: pass", "try: f()\nexcept Unheard: pass")]


class DropCall(Operator):
    """Leaves out a call whose result nobody takes."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        parent = node.parent
        if node.type == "atom_expr" and parent is not None and parent.type == "simple_stmt":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return parso.parse(f"{node.get_first_leaf().prefix}None")

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return [Example("f(x)\n", "None\n")]


# None is as good to whoever asks whether.
FALSE = ("None", "False")


class ReturnNone(Operator):
    """Does the work, and keeps the result."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type == "return_stmt" and _words(node.children[1]) not in FALSE:
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = parso.parse(" None")
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return [Example("def f(): return x", "def f(): return None")]


def _words(node: Any) -> str:
    return " ".join(node.get_code().split())


def all_operators() -> list[Operator]:
    known = OperatorProvider()
    return [
        *(known[name]() for name in NAMES),
        CatchLess(),
        DropCall(),
        InOrNotIn(),
        ReturnNone(),
    ]
