"""Make Triton's interpreter compute what a GPU computes in bfloat16; for tests only.

In triton 3.6 and 3.7 the interpreter multiplies the raw 16-bit patterns of bfloat16 operands in `tl.dot`, and cuts
float32 down to bfloat16 where the hardware rounds to nearest even. Under triton 3.6 it also fails with numpy 2.4 and
later where a loop bound was loaded from memory. Sums and products of bfloat16 tiles stay wrong: the kernels widen tiles
before any arithmetic, as they should on a GPU as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter


def repair() -> None:
    """Patch the interpreter of this process; once is enough, and again does no harm."""
    builder = interpreter.InterpreterBuilder
    if getattr(builder, "is_repaired", False):
        return
    builder.is_repaired = True
    dot, cast, patch_tensor = builder.create_dot, builder.cast_impl, interpreter._patch_lang_tensor

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        return dot(self, _widened(a), _widened(b), *rest)

    def cast_impl(self: Any, source: Any, target_type: Any) -> Any:
        if source.dtype.scalar == tl.float32 and target_type.scalar == tl.bfloat16:
            return interpreter.TensorHandle(_rounded(source.data), tl.bfloat16)
        return cast(self, source, target_type)

    def patch_lang_tensor(tensor: Any, scope: Any) -> None:
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(np.asarray(self.handle.data).reshape(-1)[0]))

    builder.create_dot = create_dot
    builder.cast_impl = cast_impl
    builder.create_fp_trunc = cast_impl
    builder.create_fp_ext = cast_impl
    interpreter._patch_lang_tensor = patch_lang_tensor


def _widened(operand: Any) -> Any:
    if operand.dtype.scalar != tl.bfloat16:
        return operand
    return interpreter.TensorHandle((operand.data.astype(np.uint32) << 16).view(np.float32), tl.float32)


def _rounded(values: Any) -> Any:
    """Bit patterns of float32 numbers rounded to bfloat16, to nearest even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits + ((bits >> 16) & 1) + np.uint32(0x7FFF)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype(np.uint16).reshape(np.shape(values))
