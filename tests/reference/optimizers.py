#!/usr/bin/env python3
"""Write optimizers.txt: where PyTorch's optimizers are after steps of a small problem, for tests/unit/test_optimizers.c.

Lines:  optimizer RATE YAML (\\n: a line's end) / at STEP and the six weights, then the two biases; with
averaging, their averages
Step t (from 0) has the rate RATE (1 - t / 200), and element i of a tensor starts at sin(i + 1) / 2 and has the gradient
w / 4 + cos(1.3 t + 0.7 i) / 2, but none in a step after each tenth. All is computed in double. What PyTorch has
not is written out here: Lion from the paper, Lamb from Keras, clipping without the term that keeps a norm from 0; so is the weight decay but AdamW's, which is PyTorch's own.
"""
import json
import math
import torch
from torch import optim
from torch.optim import swa_utils

STEPS = [1, 2, 10, 50, 100]


class Lion(optim.Optimizer):
    def __init__(self, groups, lr, betas):
        super().__init__(groups, {"lr": lr, "betas": betas})

    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.data -= group["lr"] * (b1 * m + (1 - b1) * p.grad).sign()
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class Lamb(optim.Optimizer):
    """Keras' update_step; weight decay comes before, as in all of Keras' optimizers."""

    def __init__(self, groups, lr, betas, eps):
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps})

    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                s = self.state[p]
                s["t"] = s.get("t", 0) + 1
                m = s.setdefault("m", torch.zeros_like(p)).mul_(b1).add_(p.grad, alpha=1 - b1)
                v = s.setdefault("v", torch.zeros_like(p)).mul_(b2).add_(p.grad**2, alpha=1 - b2)
                step = m / (1 - b1**s["t"]) / ((v / (1 - b2**s["t"])).sqrt() + group["eps"])
                lengths = p.norm(), step.norm()
                ratio = lengths[0] / lengths[1] if min(lengths) > 0 else 1
                p.data -= group["lr"] * ratio * step


def clip(gradients, kind, most):
    """PyTorch's clip_grad_value_, and clip_grad_norm_ without the 1e-6 that it adds to the norm."""
    if kind == "value":
        return [g.clamp(-most, most) for g in gradients]
    norms = [g.norm() for g in gradients]
    if kind == "global_norm":
        norms = [torch.stack(norms).norm()] * len(norms)
    return [g * min(1, most / n) if n > 0 else g for g, n in zip(gradients, norms)]


class Net(torch.nn.Module):
    def __init__(self, *tensors):
        super().__init__()
        self.tensors = torch.nn.ParameterList(tensors)


def averaged(net, kind, keys):
    """What a step's end calls, and where it leads. A warm-up, which PyTorch has not, is its own rule."""
    if kind == "swa":
        return swa_utils.AveragedModel(net), lambda t: t + 1 >= keys["start"] and (t + 1 - keys["start"]) % keys["every"] == 0
    if not keys.get("warmup"):
        function = swa_utils.get_ema_multi_avg_fn(keys["decay"])
        return swa_utils.AveragedModel(net, multi_avg_fn=function), lambda t: True
    warm = lambda a, p, t: a + (1 - min(keys["decay"], (1 + t) / (10 + t))) * (p - a)
    return swa_utils.AveragedModel(net, avg_fn=warm), lambda t: True


def write(f, rate, name, yaml, make, decay=0.0, vectors=False, clipping=None, averaging=None):
    weight, bias = [torch.tensor([math.sin(i + 1) / 2 for i in range(n)], dtype=torch.float64) for n in (6, 2)]
    decays = [decay, decay if vectors else 0.0]
    groups = [{"params": [p]} for p in (weight, bias)]
    if make is optim.AdamW:
        groups = [g | {"weight_decay": d} for g, d in zip(groups, decays)]
        decays = [0, 0]
    o = make(groups, lr=rate) if make is optim.AdamW else make(groups)
    train = "\\ntrain: {gradient_clip: {%s: %g}}" % clipping if clipping else ""
    if averaging:
        kind, keys = averaging
        train = "\\ntrain: {averaging: {%s: %s}}" % (kind, json.dumps(keys).replace('"', ""))
        net = Net(weight, bias)
        average, is_due = averaged(net, kind, keys)
    f.write("optimizer %g {%s: {learning_rate: %g%s}}%s\n" % (rate, name, rate, yaml, train))
    for t in range(100):
        gradients = []
        for p in (weight, bias):
            index = torch.arange(len(p), dtype=torch.float64)
            gradients.append(torch.zeros_like(p) if t % 10 == 9 else p / 4 + torch.cos(1.3 * t + 0.7 * index) / 2)
        gradients = clip(gradients, *clipping) if clipping else gradients
        for group, d, gradient in zip(o.param_groups, decays, gradients):
            group["lr"] = rate * (1 - t / 200)
            for p in group["params"]:
                p.grad = gradient
                p.mul_(1 - group["lr"] * d)
        o.step()
        at = weight, bias
        if averaging:
            for parameter, tensor in zip(net.tensors, (weight, bias)):
                parameter.data = tensor
            if is_due(t):
                average.update_parameters(net)
            if average.n_averaged > 0:
                at = [p.detach() for p in average.module.tensors]
        if t + 1 in STEPS:
            f.write("at %d %s\n" % (t + 1, " ".join("%.9g" % v for p in at for v in p.tolist())))


def main():
    with open(__file__.replace("optimizers.py", "optimizers.txt"), "w") as f:
        write(f, 0.01, "adamw", ", weight_decay: 0.1, epsilon: 1e-8", optim.AdamW, 0.1)
        write(f, 0.01, "adamw", ", weight_decay: 0.1, decay_vectors: true, epsilon: 1e-8", optim.AdamW, 0.1, True)
        write(f, 0.02, "adam", ", weight_decay: 0.3, beta_1: 0.8",
              lambda p: optim.Adam(p, betas=(0.8, 0.999), eps=1e-7), 0.3)
        write(f, 0.1, "sgd", ", weight_decay: 0.5", optim.SGD, 0.5)
        write(f, 0.01, "lamb", "", lambda p: Lamb(p, 0.01, (0.9, 0.999), 1e-7))
        write(f, 0.05, "lamb", ", beta_1: 0.8, beta_2: 0.99, epsilon: 0.001, weight_decay: 0.1",
              lambda p: Lamb(p, 0.05, (0.8, 0.99), 0.001), 0.1)
        write(f, 0.1, "sgd", ", momentum: 0.9, rate_in_velocity: false", lambda p: optim.SGD(p, momentum=0.9))
        write(f, 0.1, "sgd", ", momentum: 0.8, nesterov: true, rate_in_velocity: false",
              lambda p: optim.SGD(p, momentum=0.8, nesterov=True))
        for kind, most in (("value", 0.2), ("norm", 0.5), ("global_norm", 0.6)):
            write(f, 0.1, "sgd", ", momentum: 0.9, rate_in_velocity: false", lambda p: optim.SGD(p, momentum=0.9),
                  clipping=(kind, most))
            write(f, 0.02, "adam", "", lambda p: optim.Adam(p, eps=1e-7), clipping=(kind, most))
        for kind, keys in (("ema", {"decay": 0.9}), ("ema", {"decay": 0.95, "warmup": True}),
                           ("swa", {"start": 9, "every": 7})):
            write(f, 0.1, "sgd", "", optim.SGD, averaging=(kind, keys))
            write(f, 0.02, "adam", "", lambda p: optim.Adam(p, eps=1e-7), averaging=(kind, keys))
        write(f, 0.01, "nadam", "", lambda p: optim.NAdam(p, eps=1e-7))
        write(f, 0.02, "nadam", ", beta_1: 0.95, beta_2: 0.99, epsilon: 0.001, momentum_decay: 1, weight_decay: 0.2",
              lambda p: optim.NAdam(p, betas=(0.95, 0.99), eps=0.001, momentum_decay=1), 0.2)
        write(f, 0.01, "rmsprop", "", lambda p: optim.RMSprop(p, alpha=0.9, eps=1e-7))
        write(f, 0.003, "rmsprop", ", rho: 0.95, momentum: 0.8, epsilon: 0.0001, weight_decay: 0.1",
              lambda p: optim.RMSprop(p, alpha=0.95, momentum=0.8, eps=0.0001), 0.1)
        write(f, 0.01, "rmsprop", ", centered: true, epsilon: 0.01",
              lambda p: optim.RMSprop(p, alpha=0.9, eps=0.01, centered=True))
        write(f, 0.1, "adagrad", "", lambda p: optim.Adagrad(p, initial_accumulator_value=0.1, eps=1e-7))
        write(f, 0.05, "adagrad", ", initial_accumulator_value: 0, epsilon: 1e-5, weight_decay: 0.1",
              lambda p: optim.Adagrad(p, eps=1e-5), 0.1)
        write(f, 1, "adadelta", "", optim.Adadelta)
        write(f, 0.5, "adadelta", ", rho: 0.95, epsilon: 0.001, weight_decay: 0.05, decay_vectors: true",
              lambda p: optim.Adadelta(p, rho=0.95, eps=0.001), 0.05, True)
        write(f, 0.01, "lion", ", weight_decay: 0.5", lambda p: Lion(p, 0.01, (0.9, 0.99)), 0.5)
        write(f, 0.003, "lion", ", beta_1: 0.8, beta_2: 0.95", lambda p: Lion(p, 0.003, (0.8, 0.95)))


main()
