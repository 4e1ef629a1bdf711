"""Muon, an optimizer that makes the update of a matrix orthogonal (Jordan et al., 2024)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PARTS = "parts"  # key of the parameter groups of matrices: the number of matrices that each parameter holds
STACK_NUMBERS = 2**24  # in the matrices that are orthogonalized in one stack

_MOMENTUM = 0.95
# Of an odd polynomial that takes singular values from [0.0016, 1] to [0.68, 1.21] when it is applied five times
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7
_RMS_OF_ADAM = 0.2  # root mean square of AdamW's updates at a learning rate of 1 (Liu et al., 2025)


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of the layers, and AdamW for all other parameters.

    The update of a matrix is the moving average of its gradients with all singular values made about equal, so that
    directions in which gradients are small are learned as fast as others. It is scaled to the size of AdamW's updates,
    so that both have the same learning rate and weight decay (Liu et al., 2025). Parameters that hold several matrices,
    such as the projection of queries, keys and values, are orthogonalized part by part.

    `torch.optim.Muon` takes no other parameters, cannot skip a step without synchronization, and does not know parts.

    Args:
        matrices: parameters of two dimensions by the number of matrices that each holds, one above the other.
        others: AdamW of the other parameters, fused. This optimizer has its groups and its state as well.
        dtype: data type in which matrices are multiplied.
        learning_rate: learning rate.
        weight_decay: weight decay of the matrices.
    """

    def __init__(
        self,
        matrices: Mapping[int, Sequence[Tensor]],
        others: torch.optim.AdamW,
        dtype: torch.dtype,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        groups = [{"params": list(found), PARTS: parts} for parts, found in matrices.items()]
        super().__init__(groups, {"lr": learning_rate, "weight_decay": weight_decay})
        self.param_groups.extend(others.param_groups)
        self._others, self._dtype = others, dtype
        self.found_inf: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take a step; if `found_inf`, a float32 scalar, is set and not 0, weights and moments stay unchanged."""
        assert closure is None, "Muon takes no closure."
        self._others.param_groups = [group for group in self.param_groups if PARTS not in group]
        self._others.state = self.state
        self._others.found_inf = self.found_inf  # type: ignore[attr-defined]
        self._others.step()
        momenta: dict[tuple[int, int], list[_Momentum]] = defaultdict(list)
        for group in self.param_groups:
            if PARTS in group:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        momentum = self._momentum(parameter, group)
                        momenta[_shape(parameter, group[PARTS])].append(momentum)
        for same in momenta.values():
            for stack in _stacks(same):
                self._update(stack)

    def _momentum(self, parameter: Tensor, group: Mapping[str, Any]) -> _Momentum:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
        return _Momentum(parameter, state["exp_avg"], group[PARTS], group["lr"], group["weight_decay"])

    def _update(self, stack: Sequence[_Momentum]) -> None:
        """Take a step of parameters whose parts have the same shape, up to transposition."""
        device = stack[0].average.device
        is_bad = torch.zeros((), device=device).bool() if self.found_inf is None else self.found_inf.bool()
        directions = orthogonal(torch.cat([momentum.add_gradient(is_bad).to(self._dtype) for momentum in stack]))
        for momentum, direction in zip(stack, torch.split(directions, [own.parts for own in stack]), strict=True):
            momentum.move_parameter(direction, is_bad)


@dataclass(frozen=True)
class _Momentum:
    """A parameter with the moving average of its gradients."""

    parameter: Tensor
    average: Tensor
    parts: int
    rate: float
    weight_decay: float

    def add_gradient(self, is_bad: Tensor) -> Tensor:
        """Add the gradient to the average, and return the direction of the step (Nesterov's), `(parts, *shape)`."""
        gradient = self.parameter.grad
        assert gradient is not None
        gradient = torch.where(is_bad, self.average, gradient)
        self.average.lerp_(gradient, 1 - _MOMENTUM)
        return self._turned(gradient.lerp(self.average, _MOMENTUM))

    def move_parameter(self, direction: Tensor, is_bad: Tensor) -> None:
        """Decay the parameter, and move it against an orthogonal direction, `(parts, *shape)`."""
        rate = torch.where(is_bad, 0.0, self.rate)
        if self.weight_decay:
            self.parameter.mul_(1 - rate * self.weight_decay)
        scale = rate * _RMS_OF_ADAM * math.sqrt(_shape(self.parameter, self.parts)[1])
        parts = self._turned(self.parameter)
        parts.sub_(direction.to(parts.dtype) * scale)

    def _turned(self, whole: Tensor) -> Tensor:
        """Return the parts of a tensor of the parameter's shape as a view, transposed if they have more rows."""
        parts = whole.view(self.parts, -1, whole.shape[1])
        return parts.mT if parts.shape[1] > parts.shape[2] else parts


def _shape(parameter: Tensor, parts: int) -> tuple[int, int]:
    """Return the shape of each part of a parameter, the smaller dimension first."""
    rows, columns = len(parameter) // parts, parameter.shape[1]
    return min(rows, columns), max(rows, columns)


def _stacks(momenta: Iterable[_Momentum]) -> Iterator[list[_Momentum]]:
    """Split parameters into stacks of at most `STACK_NUMBERS` numbers, but at least one parameter."""
    stack: list[_Momentum] = []
    for momentum in momenta:
        if stack and sum(own.parameter.numel() for own in (*stack, momentum)) > STACK_NUMBERS:
            yield stack
            stack = []
        stack.append(momentum)
    if stack:
        yield stack


def stack_bytes(matrices: Mapping[int, Sequence[Tensor]], dtype: torch.dtype) -> int:
    """Return the bytes of the temporary tensors of a step; arguments as in `Muon`."""
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for parts, found in matrices.items():
        for matrix in found:
            sizes[_shape(matrix, parts)].append(matrix.numel())
    largest = max((max(min(sum(same), STACK_NUMBERS), max(same)) for same in sizes.values()), default=0)
    return 5 * dtype.itemsize * largest  # in `orthogonal`


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices with the same singular vectors, and singular values between 0.68 and 1.21.

    Those below 0.16 % of the norm become smaller than that. Five iterations of Newton and Schulz, with the coefficients
    of Jordan et al. (2024), replace a singular value decomposition.

    Args:
        matrices: `(n, rows, columns)` with at most as many rows as columns, float32 or bfloat16.
    """
    a, b, c = _COEFFICIENTS
    x: Tensor = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=_SMALLEST_NORM)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
