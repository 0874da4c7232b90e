"""The loss against its formula, and Adam against torch's own."""

import math

import numpy as np
import pytest
import torch

from tomorois.training.loss import TAPS, Adam, clipped, cosine_basis, flat, in_cosines, masked_loss, put_flat


def entropy(logit, target):
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def test_loss_is_the_weighted_mean_of_the_counted_voxels():
    logits, target = torch.tensor([0.3, -2.0, 1.0, 9.0]), torch.tensor([1.0, 0.0, 0.25, 1.0])
    weight = torch.tensor([1.0, 4.0, 1.0, 0.0])
    expected = (3 * entropy(0.3, 1) + 4 * entropy(-2, 0) + 1.5 * entropy(1, 0.25)) / 3
    assert float(masked_loss(logits, target, weight, class_weight=3.0)) == pytest.approx(expected, rel=1e-6)


def test_dice_term_by_hand():
    logits, target, weight = torch.zeros(4), torch.tensor([1.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 1, 1, 0])
    expected = math.log(2) + 0.7 * (1 - (2 * 1 + 1) / (1.5 + 2 + 1))
    assert float(masked_loss(logits, target, weight, 1.0, 0.7)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dice_weight", [0.0, 1.0])
def test_what_is_ignored_has_no_influence_even_if_it_is_no_number(dice_weight):
    weight = torch.tensor([1.0, 0.0, 1.0])
    results = []
    for odd in (0.0, math.nan, math.inf):
        logits = torch.tensor([0.5, odd, -1.0], requires_grad=True)
        loss = masked_loss(logits, torch.tensor([1.0, odd, 0.0]), weight, 2.0, dice_weight)
        loss.backward()
        results.append((float(loss.detach()), logits.grad.tolist()))
    assert results[0] == results[1] == results[2]
    assert results[0][1][1] == 0


def test_a_batch_that_is_wholly_ignored_has_no_loss_and_no_gradient():
    logits = torch.tensor([1.0, math.nan], requires_grad=True)
    loss = masked_loss(logits, torch.tensor([1.0, math.nan]), torch.zeros(2), 2.0, 1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad.tolist() == [0, 0]


def test_adam_is_torchs_adam():
    ours, theirs = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    first, second = torch.zeros(3), torch.zeros(3)
    reference = torch.optim.Adam([theirs], lr=0.05)
    for step in range(30):
        gradient = torch.tensor([math.sin(step), 0.1, -3.0 * math.cos(2 * step)])
        Adam(first, second, step).step(ours, gradient, 0.05)
        theirs.grad = gradient.clone()
        reference.step()
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, 3)])
def test_cosine_components_of_kernels_by_the_formula(shape):
    kernel, taps = torch.randn(shape, generator=torch.Generator().manual_seed(0)), math.prod(shape)
    rest = torch.tensor([5.0, -6.0])
    scales = (math.sqrt(1 / 3), math.sqrt(2 / 3), math.sqrt(2 / 3))
    expected = [
        sum(
            float(kernel[t])
            * math.prod(
                scales[c] * math.cos(math.pi * c * (2 * i + 1) / 6) for c, i in zip(k, t, strict=True)
            )
            for t in np.ndindex(shape)
        )
        for k in np.ndindex(shape)
    ]
    vector = torch.cat([kernel.reshape(-1), rest])
    turned = in_cosines(vector, 1, taps)
    assert turned[:taps].tolist() == pytest.approx(expected, abs=1e-6)
    assert turned[taps:].tolist() == rest.tolist()
    assert in_cosines(turned, 1, taps, back=True).tolist() == pytest.approx(vector.tolist(), abs=1e-6)


@pytest.mark.parametrize("taps", [TAPS, 9])
def test_adam_steps_along_each_cosine_component_alike(taps):
    gradient = torch.full((taps,), 1.0) + 1e-3 * cosine_basis(taps)[5]
    parameters = torch.zeros(taps)
    Adam(torch.zeros(taps), torch.zeros(taps), kernels=1, taps=taps).step(parameters, gradient, 0.1)
    components = cosine_basis(taps) @ parameters
    assert components[[0, 5]].tolist() == pytest.approx([-0.1, -0.1], rel=1e-3)
    plain = torch.zeros(taps)
    Adam(torch.zeros(taps), torch.zeros(taps)).step(plain, gradient, 0.1)
    assert abs(float(cosine_basis(taps)[5] @ plain)) < 1e-3


def test_gradients_are_shortened_only_if_longer():
    assert clipped(torch.tensor([3.0, 4.0]), 1.0).tolist() == pytest.approx([0.6, 0.8])
    assert clipped(torch.tensor([0.3, 0.4]), 1.0).tolist() == pytest.approx([0.3, 0.4])


def test_flat_and_back():
    tensors = [torch.randn(2, 3), torch.randn(4)]
    values = flat(tensors)
    copies = [torch.zeros(2, 3), torch.zeros(4)]
    put_flat(copies, values)
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))
