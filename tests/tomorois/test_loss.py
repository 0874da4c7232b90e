"""The loss against its formula, and Adam against torch's own."""

import math

import pytest
import torch

from tomorois.loss import Adam, clipped, flat, masked_loss, put_flat


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


def test_gradients_are_shortened_only_if_longer():
    assert clipped(torch.tensor([3.0, 4.0]), 1.0).tolist() == pytest.approx([0.6, 0.8])
    assert clipped(torch.tensor([0.3, 0.4]), 1.0).tolist() == pytest.approx([0.3, 0.4])


def test_flat_and_back():
    tensors = [torch.randn(2, 3), torch.randn(4)]
    values = flat(tensors)
    copies = [torch.zeros(2, 3), torch.zeros(4)]
    put_flat(copies, values)
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))
