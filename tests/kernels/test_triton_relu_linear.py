"""Linear layer, ReLU and dropout as one operator of CUDA: equal to the reference in float64, gradients included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from translator.kernels import reference, relu_linear
from translator.kernels.dropout import keep_mask

pytestmark = pytest.mark.usefixtures("device")

# (rows, columns): one more and one less than a tile of 16 and a block of 64 rows, and of 256 columns
SHAPES = [(1, 1), (15, 16), (17, 255), (63, 256), (64, 257), (65, 40), (130, 64), (0, 8)]


@pytest.fixture
def kernel(device: torch.device) -> Any:
    return pytest.importorskip("translator.kernels.triton_relu_linear")


def problem(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Input, weight and bias; no sum is so near to zero that rounding changes its sign."""
    generator = torch.Generator().manual_seed(rows + columns)
    x, weight = torch.randn(rows, 24, generator=generator), 0.02 * torch.randn(columns, 24, generator=generator)
    bias = torch.randn(columns, generator=generator).sign()
    return [tensor.to(device, dtype) for tensor in (x, weight, bias)]


def results(function: Callable[..., Tensor], inputs: Sequence[Tensor], *options: Any) -> list[Tensor]:
    """The output and the gradients of the inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = function(*leaves, *options)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.device, out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_are_as_exact_as_the_plain_formula(
    device: torch.device, kernel: Any, shape: tuple[int, int], dtype: torch.dtype, dropout_p: float
) -> None:
    """The error is at most twice that of the plain computation in the same dtype, three times for gradients."""
    inputs = problem(*shape, dtype, device)
    keys = torch.arange(shape[0], device=device) if dropout_p else None
    ours = results(kernel.triton_relu_linear, inputs, keys, dropout_p)
    plain = results(reference.relu_linear, inputs, keys, dropout_p)
    exact = results(reference.relu_linear, [x.double() for x in inputs], keys, dropout_p)
    for factor, right, plainly, mine in zip((2, 3, 3, 3), exact, plain, ours, strict=True):
        assert mine.dtype == dtype and mine.shape == right.shape
        if right.numel():
            error, allowed = (mine.double() - right).abs().max(), (plainly.double() - right).abs().max()
            assert error <= factor * allowed + 1e-6, f"error {error:.2e}, the plain computation's {allowed:.2e}"


def test_dropout_draws_the_mask_of_the_cpu_and_its_gradient_passes_there(device: torch.device, kernel: Any) -> None:
    x, weight = torch.ones(70, 4, device=device), torch.zeros(300, 4, device=device)
    bias, keys = torch.ones(300, device=device, requires_grad=True), torch.arange(70, device=device)
    out = kernel.triton_relu_linear(x, weight, bias, keys, 0.3)
    mask = keep_mask(keys.cpu(), 300, 0.3).to(device)
    torch.testing.assert_close(out, mask)
    (grad,) = torch.autograd.grad(out, bias, torch.ones_like(out))
    torch.testing.assert_close(grad, mask.sum(dim=0))


def test_gradients_pass_where_the_result_is_nan_and_not_where_it_is_zero(device: torch.device, kernel: Any) -> None:
    """As those of `F.relu`, so that training that diverges is noticed."""
    out = torch.tensor([[torch.nan, 0.0, -0.0, 2.0, torch.inf]], device=device)
    grad, sums = kernel._relu_gradient(torch.full_like(out, 3.0), out, 2.0)
    assert grad.tolist() == sums.tolist() == [[6.0, 0.0, 0.0, 6.0, 6.0]]


@pytest.mark.parametrize("shape", [(65, 257), (3, 5)])
def test_every_element_is_written_and_nothing_around(device: torch.device, kernel: Any, shape: tuple[int, int]) -> None:
    rows, columns = shape
    blocks = -(-rows // 64)
    grad, sums = torch.full((3, rows * columns), 777.0, device=device), torch.full((3, blocks * columns), 777.0)
    sums = sums.to(device)
    ones = torch.ones(shape, device=device)
    kernel.relu_gradient[(blocks * -(-columns // 256),)](
        *(ones, ones, grad[1], sums[1], rows, columns, 1.0), BLOCK_ROWS=64, TILE=16, COLUMNS=256
    )
    assert (grad[1] == 1).all() and (grad[::2] == 777).all()
    assert (sums[1].view(blocks, columns).sum(dim=0) == rows).all() and (sums[::2] == 777).all()


def test_the_sums_of_a_block_do_not_depend_on_other_blocks(device: torch.device, kernel: Any) -> None:
    grad_out, out = torch.randn(2, 130, 40).to(device)
    _, together = kernel._relu_gradient(grad_out, out, 1.0)
    _, alone = kernel._relu_gradient(grad_out[64:128], out[64:128], 1.0)
    assert together.shape == (3, 40) and torch.equal(together[1:2], alone)


def test_the_operator_is_well_formed(device: torch.device, kernel: Any) -> None:
    grad_out, out = torch.randn(2, 70, 40).to(device)
    for upstream in (grad_out, grad_out[:1].expand(70, 40)):
        torch.library.opcheck(kernel._relu_gradient, (upstream, out, 1.25))


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
def test_the_operator_compiles_without_a_graph_break(device: torch.device, kernel: Any, dropout_p: float) -> None:
    inputs, keys = problem(70, 40, torch.float32, device), torch.arange(70, device=device) if dropout_p else None
    torch._dynamo.reset()
    compiled = torch.compile(kernel.triton_relu_linear, backend="aot_eager", fullgraph=True)
    expected = results(kernel.triton_relu_linear, inputs, keys, dropout_p)
    for mine, right in zip(results(compiled, inputs, keys, dropout_p), expected, strict=True):
        torch.testing.assert_close(mine, right)


def test_on_cuda_the_network_uses_the_operator_and_on_the_cpu_plain_torch(device: torch.device, kernel: Any) -> None:
    inputs = [x.requires_grad_() for x in problem(3, 8, torch.float32, device)]
    name = type(relu_linear(*inputs).grad_fn).__name__
    assert name == ("_ReluLinearBackward" if device.type == "cuda" else "ReluBackward0")
