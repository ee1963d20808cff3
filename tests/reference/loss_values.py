#!/usr/bin/env python3
"""Write loss_values.txt: what PyTorch, in double, makes of each loss, for tests/unit/test_losses.c.

A case is one example: its predictions or logits x, its targets or label t, the loss and its gradient toward x. Where
PyTorch has no such loss the formula is Keras' (named beside it), and PyTorch does the gradient. Some cases are there
for numbers that a plain formula would overflow or cancel on.

Lines:  loss KIND {OPTIONS} / shape SIZES / x VALUES / t VALUES / value NUMBER / gradient VALUES
A case whose loss has a corner at x, or no slope worth asking for, has no gradient.
"""
import math
from pathlib import Path
import torch
import torch.nn.functional as F

EPSILON = 1e-7  # Keras' guard


def rounded(values):
    """Doubles that are floats: what a network in float32 is given."""
    return torch.tensor(values, dtype=torch.float64).float().double()


def waves(count, scale=1.5, phase=0.0):
    return rounded([scale * math.sin(1.7 * i + phase) + 0.1 * i for i in range(count)])


def shares(count, phase=0.3):
    """Numbers of (0, 1), the same for each side."""
    return rounded([0.5 + 0.45 * math.sin(2.3 * i + phase) for i in range(count)])


def spread(rows, classes, phase=0.3):
    """Rows that add up to 1."""
    return rounded(torch.softmax(waves(rows * classes, 1, phase).reshape(rows, classes), -1).tolist())


def bits(count):
    return rounded([(i * i + i // 3) % 2 for i in range(count)])


# ---- losses that PyTorch has not, as Keras 3 defines them ----

def categorical_of_probabilities(x, t):  # keras.losses.categorical_crossentropy
    p = (x / x.sum(-1, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    return -(t * p.log()).sum(-1).mean()


def categorical_of_weighted(x, t, weights, s):  # keras.Model.fit's class_weight, of shares in place of one class
    return ((t @ weights) * F.cross_entropy(x, t, reduction="none", label_smoothing=s)).mean()


def divergence_of_probabilities(x, t):  # keras.losses.kl_divergence
    return F.kl_div(x.clamp(EPSILON, 1).log(), t.clamp(EPSILON, 1), reduction="none").sum(-1).mean()


def focal(x, z, gamma, alpha=None):  # keras.losses.binary_focal_crossentropy; torchvision.ops.sigmoid_focal_loss
    entropy = F.binary_cross_entropy_with_logits(x, z, reduction="none")
    wrong = z * torch.sigmoid(-x) + (1 - z) * torch.sigmoid(x)
    balance = 1 if alpha is None else alpha * z + (1 - alpha) * (1 - z)
    return (balance * wrong ** gamma * entropy).mean()


def dice(x, t, smooth):  # keras.losses.dice, with 'smooth' above the line too
    return 1 - (2 * (x * t).sum() + smooth) / (x.sum() + t.sum() + smooth)


def divergence(x, t, temperature=1.0):  # Hinton et al. 2015
    return F.kl_div(F.log_softmax(x / temperature, -1), F.softmax(t / temperature, -1), reduction="none").sum(-1).mean()


def smoothed(z, s):
    return (1 - s) * z + s / 2


def entropy(x, z):
    return F.binary_cross_entropy_with_logits(x, z)


# ---- cases: kind, options, x, t, loss ----

def regression_cases():
    x, t = waves(6).reshape(2, 3), waves(6, 2.0, 1.0).reshape(2, 3)
    yield "mean_squared_error", "", x, t, F.mse_loss
    yield "mean_absolute_error", "", x, t, F.l1_loss
    yield "huber", "", x, t, F.huber_loss
    yield "huber", "delta: 0.25", x, t, lambda x, t: F.huber_loss(x, t, delta=0.25)
    yield "huber", "delta: 2", rounded([1e30]), rounded([0]), lambda x, t: F.huber_loss(x, t, delta=2)
    rates, counts = waves(5).abs() + 0.2, rounded([0, 1, 2, 5, 0])
    poisson = {"full": False, "reduction": "mean", "eps": EPSILON}
    yield "poisson", "", rates, counts, lambda x, t: F.poisson_nll_loss(x, t, log_input=False, **poisson)
    yield "poisson", "log_input: true", waves(5), counts, lambda x, t: F.poisson_nll_loss(x, t, **poisson)
    yield "poisson", "", rounded([0, 0, 3]), rounded([0, 0, 3]), None
    cosine = lambda x, t: -F.cosine_similarity(x, t, dim=-1, eps=EPSILON).mean()
    yield "cosine_similarity", "", x, t, cosine
    yield "cosine_similarity", "", rounded([1e30, -2e30, 5e29]), rounded([3e25, 1e25, 2e25]), None
    yield "cosine_similarity", "", rounded([0, 3, 0]), rounded([0, 0.5, 0.5]), cosine
    yield "cosine_similarity", "", rounded([0, 0, 0]), rounded([0, 1, 2]), None


def class_cases():
    x, t = waves(12, 2.0).reshape(3, 4), spread(3, 4)
    label = torch.tensor(2)
    yield "softmax_cross_entropy", "", waves(5), label, F.cross_entropy
    for s in (0.1, 0.9):
        yield ("softmax_cross_entropy", f"label_smoothing: {s}", waves(5), label,
               lambda x, t, s=s: F.cross_entropy(x, t, label_smoothing=s))
    yield ("softmax_cross_entropy", "label_smoothing: 0.1", rounded([100, -100, 0, 99]), label,
           lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1))
    weights = rounded([0.5, 3, 1.25, 0, 2])  # PyTorch's mean divides by the weights' sum, Lamina's by the examples
    for chosen in (2, 3):
        yield ("softmax_cross_entropy", "class_weights: [0.5, 3, 1.25, 0, 2]", waves(5), torch.tensor(chosen),
               lambda x, t: F.cross_entropy(x, t, weights, reduction="sum"))
    yield ("softmax_cross_entropy", "class_weights: [0.5, 3, 1.25, 0, 2], label_smoothing: 0.1", waves(5), label,
           lambda x, t: 1.25 * F.cross_entropy(x, t, label_smoothing=0.1))
    yield "categorical_cross_entropy", "", x, t, F.cross_entropy
    for options, s in (("", 0), (", label_smoothing: 0.2", 0.2)):
        yield ("categorical_cross_entropy", "class_weights: [0.5, 3, 0, 2]" + options, x, t,
               lambda x, t, s=s: categorical_of_weighted(x, t, rounded([0.5, 3, 0, 2]), s))
    yield ("categorical_cross_entropy", "class_weights: [0.5, 3, 2]", rounded([1, -1, 0.5]), rounded([0, 1, 0]),
           lambda x, t: F.cross_entropy(x, torch.tensor(1), rounded([0.5, 3, 2]), reduction="sum"))
    yield ("categorical_cross_entropy", "label_smoothing: 0.2", x, t,
           lambda x, t: F.cross_entropy(x, t, label_smoothing=0.2))
    yield "categorical_cross_entropy", "", rounded([1000, -1000, 999]), rounded([0.25, 0.25, 0.5]), F.cross_entropy
    yield "categorical_cross_entropy", "from_logits: false", shares(12).reshape(3, 4), t, categorical_of_probabilities
    yield ("categorical_cross_entropy", "from_logits: false, label_smoothing: 0.1", rounded([0.2, 0.5, 0.3]),
           rounded([0, 1, 0]), lambda x, t: categorical_of_probabilities(x, 0.9 * t + 0.1 / 3))
    yield "kl_divergence", "", x, waves(12, 1.0, 2.0).reshape(3, 4), divergence
    for temperature in (4.0, 0.5):
        yield ("kl_divergence", f"temperature: {temperature}", x, waves(12, 3.0, 2.0).reshape(3, 4),
               lambda x, t, temperature=temperature: divergence(x, t, temperature))
    yield "kl_divergence", "", rounded([500, -400, 0]), rounded([-300, 600, 20]), divergence
    yield "kl_divergence", "", rounded([1e4, 0, -1e4]), rounded([1e4, 0, -1e4]), divergence
    yield "kl_divergence", "from_logits: false", spread(3, 4, 1.0), t, divergence_of_probabilities
    yield "kl_divergence", "from_logits: false", rounded([0.25, 0.75, 0.5]), rounded([0, 1, 0]), divergence_of_probabilities


def truth_cases():
    x, z = waves(6, 3.0).reshape(3, 2), bits(6).reshape(3, 2)
    soft = shares(6).reshape(3, 2)
    yield "sigmoid_cross_entropy", "", x, z, entropy
    yield "sigmoid_cross_entropy", "", x, soft, entropy
    yield "sigmoid_cross_entropy", "label_smoothing: 0.2", x, z, lambda x, z: entropy(x, smoothed(z, 0.2))
    yield "sigmoid_cross_entropy", "", rounded([0, 0, 0]), rounded([0, 1, 0.25]), entropy
    yield "sigmoid_cross_entropy", "", rounded([1000, -1000, 90, -90]), rounded([1, 0, 0, 1]), entropy
    for weight in (0, 0.25, 5):
        positive = lambda x, z, w=weight: F.binary_cross_entropy_with_logits(x, z, pos_weight=torch.tensor(w).double())
        yield "sigmoid_cross_entropy", f"pos_weight: {weight}", x, z, positive
        yield "sigmoid_cross_entropy", f"pos_weight: {weight}", x, soft, positive
    yield "sigmoid_cross_entropy", "pos_weight: 5", rounded([1000, -1000, 90, -90, 0, -20]), bits(6), positive
    yield ("sigmoid_cross_entropy", "pos_weight: 5, label_smoothing: 0.2", x, z,
           lambda x, z: positive(x, smoothed(z, 0.2)))
    yield "focal", "", x, z, lambda x, z: focal(x, z, 2)
    yield "focal", "gamma: 1.5, alpha: 0.25", x, z, lambda x, z: focal(x, z, 1.5, 0.25)
    yield "focal", "alpha: 0.75", x, soft, lambda x, z: focal(x, z, 2, 0.75)
    yield "focal", "gamma: 0", x, z, lambda x, z: focal(x, z, 0)
    yield "focal", "label_smoothing: 0.1", x, z, lambda x, z: focal(x, smoothed(z, 0.1), 2)
    yield "focal", "gamma: 0.5", rounded([-200, 200, 30, -20]), rounded([0, 1, 0, 0]), lambda x, z: focal(x, z, 0.5)
    yield "hinge", "", x, 2 * z - 1, lambda x, t: (1 - t * x).clamp(min=0).mean()
    yield "dice", "", shares(6).reshape(3, 2), z, lambda x, t: dice(x, t, EPSILON)
    yield "dice", "smooth: 1", shares(6).reshape(3, 2), z, lambda x, t: dice(x, t, 1)
    yield "dice", "", rounded([0, 0]), rounded([0, 0]), None


# What PyTorch has no gradient for, or none that counts, has its value from here.
PLAIN = {
    "poisson": lambda x, t: (x - t * (x + EPSILON).log()).mean(),
    "cosine_similarity": lambda x, t: -(x / x.abs().max().clamp(min=EPSILON)
                                        @ t / t.norm() / (x / x.abs().max().clamp(min=EPSILON)).norm().clamp(min=1)),
    "dice": lambda x, t: dice(x, t, EPSILON),
}


def line(word, tensor):
    return " ".join([word] + [f"{v:.17g}" for v in tensor.flatten().tolist()])


def write(f, kind, options, x, t, loss):
    x = x.clone().requires_grad_()
    value = (loss or PLAIN[kind])(x, t)
    f.write(f"loss {kind} {{{options}}}\nshape {' '.join(map(str, x.shape))}\n{line('x', x)}\n{line('t', t)}\n")
    f.write(f"{line('value', value)}\n")
    if loss:
        f.write(line("gradient", torch.autograd.grad(value, x)[0]) + "\n")


def main():
    with open(Path(__file__).with_name("loss_values.txt"), "w", encoding="ascii") as f:
        f.write("# What PyTorch makes of every loss: see loss_values.py.\n")
        for cases in (regression_cases, class_cases, truth_cases):
            for case in cases():
                write(f, *case)


main()
