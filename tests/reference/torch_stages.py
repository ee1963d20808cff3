#!/usr/bin/env python3
"""Write torch_stages.txt: what PyTorch makes of tests/nets/stages/torch.yaml, for tests/unit/test_reference_stages.c.

Stages that learn on their own are a network whose values are detached where a stage ends. Sequential: each stage takes
five steps, then its values are computed again, with running statistics, for the next; the layer that combines answers
comes last. Simultaneous: all stages take each step together, on their batch's statistics. What is written is what they
have learned, and what each way to combine their answers says of a sixth batch.

Element i of a tensor starts at 0.3 sin(0.7 i + p), p being the sum of its name's bytes; float i of step s is
sin(0.37 i + s), a label (31 i + 7 s) mod 10. Dense weights are [in, out], as in Lamina.

Lines:  run NAME / tensor NAME LARGEST COUNT / output METHOD LARGEST COUNT, each with COUNT values, evenly spread.
"""
import math
import torch
import torch.nn.functional as F
from torch_values import BATCH, STEPS, floats, labels

SAMPLES = 24
SHAPES = {"a": (12, 9), "b": (9, 8), "c": (8, 7), "logits": (16, 10), "one_head_dense1": (9, 10),
          "two_head_dense1": (8, 6), "two_head_dense2": (6, 10), "combine": (30, 10)}
STAGES = {"one": ("a.", "norm.", "one_head"), "two": ("b.", "two_head"), "three": ("c.", "logits.")}
WEIGHTS = (1.0, 2.0, 5.0)


def start(name, shape):
    phase = sum(name.encode())
    values = [0.3 * math.sin(0.7 * i + phase) for i in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


class Net:
    def __init__(self):
        self.values = {}
        for layer, (i, o) in SHAPES.items():
            self.values[layer + ".weight"] = start(layer + ".weight", (i, o)).requires_grad_()
            self.values[layer + ".bias"] = start(layer + ".bias", (o,)).requires_grad_()
        for role in ("gamma", "beta"):
            self.values["norm." + role] = start("norm." + role, (9,)).requires_grad_()
        self.mean, self.variance = torch.zeros(9), torch.ones(9)

    def dense(self, name, x):
        return x @ self.values[name + ".weight"] + self.values[name + ".bias"]

    def answers(self, step, training):
        """Of the three stages; no gradient crosses from one to another."""
        v = self.values
        h = F.batch_norm(self.dense("a", floats(step, (12,))), self.mean, self.variance, v["norm.gamma"],
                         v["norm.beta"], training, 0.1, 1e-3)
        h = torch.tanh(h)
        b = F.silu(self.dense("b", h.detach()))
        c = torch.tanh(self.dense("c", b.detach()))
        return (self.dense("one_head_dense1", h),
                self.dense("two_head_dense2", torch.tanh(self.dense("two_head_dense1", b))),
                self.dense("logits", torch.cat([h.detach(), c], 1)))

    def learned(self, step):
        return self.dense("combine", torch.cat([a.detach() for a in self.answers(step, False)], 1))

    def mixture(self, step, weights):
        parts = zip(weights, self.answers(step, False))
        return torch.log(sum(w / sum(weights) * torch.softmax(a, 1) for w, a in parts))

    def optimizer(self, stage):
        chosen = [v for name, v in self.values.items() if name.startswith(STAGES[stage])]
        if stage == "two":
            return torch.optim.Adam(chosen, lr=0.02, eps=1e-7)
        return torch.optim.SGD(chosen, lr=0.1, momentum=0.5)


def take_step(optimizers, loss):
    for o in optimizers:
        o.zero_grad()
    loss.backward()
    for o in optimizers:
        o.step()


def sequential(net):
    """Only the stage that learns sees its batch's statistics: there is one norm, in the first."""
    for number, stage in enumerate(STAGES):
        optimizer = net.optimizer(stage)
        for step in range(STEPS):
            take_step([optimizer], F.cross_entropy(net.answers(step, number == 0)[number], labels(step)))


def simultaneous(net):
    optimizers = [net.optimizer(stage) for stage in STAGES]
    for step in range(STEPS):
        take_step(optimizers, sum(F.cross_entropy(a, labels(step)) for a in net.answers(step, True)))


def combination(net):
    optimizer = torch.optim.SGD([net.values["combine.weight"], net.values["combine.bias"]], lr=0.1, momentum=0.5)
    for step in range(STEPS):
        take_step([optimizer], F.cross_entropy(net.learned(step), labels(step)))


def write_values(out, kind, name, tensor):
    flat = tensor.detach().flatten()
    count = min(SAMPLES, len(flat))
    out.write(f"{kind} {name} {flat.abs().max().item():.9g} {count}\n")
    out.write(" ".join(f"{flat[i * len(flat) // count].item():.9g}" for i in range(count)) + "\n")


def write(out, learn):
    net = Net()
    learn(net)
    combination(net)
    out.write(f"run {learn.__name__}\n")
    for name, value in net.values.items():
        write_values(out, "tensor", name, value)
    write_values(out, "tensor", "norm.moving_mean", net.mean)
    write_values(out, "tensor", "norm.moving_variance", net.variance)
    write_values(out, "output", "last", net.answers(STEPS, False)[-1])
    write_values(out, "output", "average", net.mixture(STEPS, (1.0, 1.0, 1.0)))
    write_values(out, "output", "weighted", net.mixture(STEPS, WEIGHTS))
    write_values(out, "output", "learned", net.learned(STEPS))


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert BATCH == 20
    with open(__file__.replace(".py", ".txt"), "w") as out:
        out.write(f"# made by torch_stages.py with PyTorch {torch.__version__}\n")
        write(out, sequential)
        write(out, simultaneous)
