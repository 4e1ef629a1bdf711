"""Sum of the gradients of all ranks, which begins while the backward pass still computes gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from translator.training.parallel import Ranks, communication

_BUCKET_BYTES = 25 * 2**20  # of gradients that are summed in one message, as in DistributedDataParallel


@dataclass
class _Bucket:
    """Parameters whose gradients are summed in one message.

    Attributes:
        parameters: the parameters.
        missing: number of gradients that this step has not computed yet.
        sent: gradients in one flat tensor, once their sum has begun, and the sum once it has ended.
        work: the sum in progress.
    """

    parameters: list[nn.Parameter]
    missing: int = 0
    sent: Tensor | None = None
    work: dist.Work | None = None


class GradientSum:
    """Sums gradients in buckets, in the order in which a backward pass computes them: the last parameter first.

    A bucket is sent as soon as its gradients are complete. All ranks send them in the same order. Gradients of the
    model are replaced by the sums in `finish` alone, so that a failed pass can be repeated in between: what was sent of
    it is not sent again.

    Args:
        parameters: parameters of the model, in the order of the forward pass.
        ranks: ranks of the run; with one rank, nothing is done.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        self._ranks = ranks
        self._buckets = [_Bucket(bucket) for bucket in _buckets(parameters[::-1])] if ranks.world_size > 1 else []
        self._bucket_of = {id(parameter): bucket for bucket in self._buckets for parameter in bucket.parameters}
        self._is_last_pass = False
        self._num_sent = 0
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                parameter.register_post_accumulate_grad_hook(self.add)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def last_pass(self, is_last: bool = True) -> Iterator[None]:
        """Send gradients during the backward pass in this block, because no further one of the step adds to them."""
        for bucket in self._buckets:
            bucket.missing = len(bucket.parameters)
        self._is_last_pass = is_last
        try:
            yield
        finally:
            self._is_last_pass = False

    def add(self, parameter: Tensor) -> None:
        """Note that the gradient of a parameter is complete. Autograd calls it for the parameters that it reaches."""
        if not self._is_last_pass or not self._buckets:
            return
        self._bucket_of[id(parameter)].missing -= 1
        while self._num_sent < len(self._buckets) and not self._buckets[self._num_sent].missing:
            self._send(self._buckets[self._num_sent])

    def finish(self) -> None:
        """Replace all gradients by their sums over the ranks."""
        while self._num_sent < len(self._buckets):  # parameters without a gradient, or a repeated pass
            self._send(self._buckets[self._num_sent])
        for bucket in self._buckets:
            if bucket.work is not None and bucket.sent is not None:
                with communication():
                    bucket.work.wait()
                gradients = [parameter.grad for parameter in bucket.parameters if parameter.grad is not None]
                parts = torch.split(bucket.sent, [gradient.numel() for gradient in gradients])
                torch._foreach_copy_(gradients, [part.view_as(own) for part, own in zip(parts, gradients, strict=True)])
            bucket.sent = bucket.work = None
        self._num_sent = 0

    def _send(self, bucket: _Bucket) -> None:
        self._num_sent += 1
        gradients = [parameter.grad.flatten() for parameter in bucket.parameters if parameter.grad is not None]
        if gradients:
            bucket.sent = torch.cat(gradients)
            with communication():
                bucket.work = dist.all_reduce(bucket.sent, async_op=True)


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Split parameters into groups of at most `_BUCKET_BYTES`, in order; a larger one is a group of its own."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and size + parameter.nbytes > _BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.nbytes
    if bucket:
        yield bucket
