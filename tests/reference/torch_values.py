#!/usr/bin/env python3
"""Write torch_values.txt: what PyTorch makes of tests/nets/torch/*.yaml, for tests/unit/test_reference.c.

    torch_values.py BUILD    the directory of a build, whose lamina says which tensors a net has

Five steps on fixed inputs from fixed parameters. Both sides compute those from the same formulas: element i of tensor t
starts at 0.3 sin(0.7 i + t), pixel i of step s is (7919 i + 104729 s) mod 256, a label is (31 i + 7 s) mod 10 and a
float sin(0.37 i + s). Tensors are in Lamina's layout: dense weights [in, out], convolutions [kh, kw, in, out].

Lines:  net NAME / loss STEP VALUE / tensor NAME LARGEST COUNT / then COUNT values, evenly spread over the tensor.
"""
import math
import sys
import tempfile
from pathlib import Path
import torch
import torch.nn as nn
import torch.nn.functional as F
import yaml
from random_nets import compiled
from torch_net import TorchNet, choice

STEPS, BATCH, SAMPLES = 5, 20, 48


def start(t, shape):
    count = math.prod(shape)
    return torch.tensor([0.3 * math.sin(0.7 * i + t) for i in range(count)], dtype=torch.float32).reshape(shape)


def pixels(step, shape):
    count = BATCH * math.prod(shape)
    values = [(7919 * i + 104729 * step) % 256 for i in range(count)]
    return torch.tensor(values, dtype=torch.float32).reshape(BATCH, *shape) * torch.tensor(1 / 255, dtype=torch.float32)


def labels(step):
    return torch.tensor([(31 * i + 7 * step) % 10 for i in range(BATCH)])


def floats(step, shape):
    count = BATCH * math.prod(shape)
    return torch.tensor([math.sin(0.37 * i + step) for i in range(count)], dtype=torch.float32).reshape(BATCH, *shape)


class Net(nn.Module):
    """Layers by Lamina's names; `tensors` lists (name, to Lamina's layout) in the order of the library's tensors."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()

    def dense(self, name, i, o):
        self.layers[name] = nn.Linear(i, o)

    def conv(self, name, i, o, k, **kw):
        self.layers[name] = nn.Conv2d(i, o, k, **kw)

    def tensors(self):
        for name, layer in self.layers.items():
            if isinstance(layer, nn.Linear):
                yield name + ".weight", layer.weight, (1, 0)
                yield name + ".bias", layer.bias, (0,)
            elif isinstance(layer, nn.Conv2d):
                yield name + ".weight", layer.weight, (2, 3, 1, 0)
                yield name + ".bias", layer.bias, (0,)
            else:
                yield name + ".gamma", layer.weight, (0,)
                yield name + ".beta", layer.bias, (0,)

    def initialize(self):
        with torch.no_grad():
            for t, (name, p, order) in enumerate(self.tensors()):
                shape = [p.shape[d] for d in order]
                back = [order.index(d) for d in range(len(order))]
                p.copy_(start(t, shape).permute(back))


class Mlp(Net):
    def __init__(self):
        super().__init__()
        self.dense("dense1", 24, 33)
        self.dense("dense2", 33, 17)
        self.dense("logits", 17, 10)

    def loss(self, step):
        l, x = self.layers, pixels(step, (6, 4)).flatten(1)
        x = torch.tanh(l["dense2"](F.relu(l["dense1"](x))))
        return F.cross_entropy(l["logits"](x), labels(step))

    def optimizer(self):
        return torch.optim.Adam(self.parameters(), lr=0.01, eps=1e-7)


class Activations(Net):
    def __init__(self):
        super().__init__()
        self.dense("dense1", 12, 16)
        self.dense("dense2", 16, 16)
        self.layers["norm"] = nn.LayerNorm(16, eps=1e-3)
        for name, i, o in (("dense3", 16, 16), ("dense4", 16, 16), ("dense5", 16, 16), ("dense6", 32, 16),
                           ("dense7", 16, 16), ("dense8", 16, 8), ("prediction", 8, 3)):
            self.dense(name, i, o)

    def loss(self, step):
        l = self.layers
        x = F.gelu(l["dense2"](torch.sigmoid(l["dense1"](floats(step, (12,))))))
        x = l["norm"](x)
        x = x + F.silu(l["dense3"](x))
        x = torch.cat([F.elu(l["dense4"](x)), F.selu(l["dense5"](x))], 1)
        x = F.leaky_relu(l["dense7"](F.softplus(l["dense6"](x))), 0.2)
        x = torch.softmax(l["dense8"](x), 1)
        return F.mse_loss(l["prediction"](x), floats(step + 100, (3,)))

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, nesterov=True)


class Cnn(Net):
    def __init__(self):
        super().__init__()
        self.conv("conv1", 2, 5, 3, padding=1)
        self.layers["batch_norm1"] = nn.BatchNorm2d(5, eps=1e-3, momentum=0.01)
        self.conv("conv2", 5, 9, 3, stride=2, padding=1)
        self.conv("conv3", 9, 6, 2)
        self.conv("conv4", 6, 7, 1)
        self.dense("logits", 7, 10)

    def loss(self, step):
        l, x = self.layers, pixels(step, (13, 11, 2)).permute(0, 3, 1, 2)
        x = F.max_pool2d(F.relu(l["batch_norm1"](l["conv1"](x))), 2)
        x = torch.tanh(l["conv3"](F.relu(l["conv2"](x))))
        x = F.relu(l["conv4"](F.avg_pool2d(x, 2, 1)))
        return F.cross_entropy(l["logits"](x.mean((2, 3))), labels(step))

    def optimizer(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.5)


class Described:
    """A net that torch_net.py reads from its YAML, in double. Its inputs are floats and labels."""

    def __init__(self, build, name):
        text = (Path(__file__).parents[1] / "nets" / "torch" / f"{name}.yaml").read_text()
        self.description = yaml.safe_load(text)
        with tempfile.TemporaryDirectory() as folder:
            net = compiled(build, text, folder)
            self.rows, self.inputs = net.tensors[:net.net.param_count], {t.name: t for t in net.inputs}
            states = [t for t in net.tensors[net.net.param_count:] if "moving_" in t.name]
        self.values = {"seed": 1, "step": 0, **{t.name: torch.zeros(t.shape).double() for t in states}}

    def tensors(self):
        for row in self.rows:
            yield row.name, self.values[row.name], tuple(range(len(row.shape)))

    def initialize(self):
        self.values.update({row.name: start(t, row.shape).double().requires_grad_() for t, row in enumerate(self.rows)})

    def loss(self, step):
        self.values["step"] = step
        inputs = {name: floats(step + 100 * i, t.shape[1:]) if t.dtype.is_floating_point else labels(step)
                  for i, (name, t) in enumerate(self.inputs.items())}
        net = TorchNet(self.description, self.values, training=True)
        total = net.objective(net.forward(inputs, torch.float64), inputs)
        self.shown = total / BATCH  # penalties are reported apart from it
        return (total + sum(net.penalties)) / BATCH

    def optimizer(self):
        (_, keys) = choice(self.description["optimizer"])
        return torch.optim.SGD([v for _, v, _ in self.tensors()], lr=keys["learning_rate"])


def write(out, name, net):
    net.initialize()
    optimizer = net.optimizer()
    out.write(f"net {name}\n")
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = net.loss(step)
        loss.backward()
        optimizer.step()
        out.write(f"loss {step} {getattr(net, 'shown', loss).item():.9g}\n")
    for tensor, p, order in net.tensors():
        flat = p.detach().permute(order).contiguous().flatten()
        count = min(SAMPLES, len(flat))
        chosen = [flat[i * len(flat) // count].item() for i in range(count)]
        out.write(f"tensor {tensor} {flat.abs().max().item():.9g} {count}\n")
        out.write(" ".join(f"{v:.9g}" for v in chosen) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open(__file__.replace(".py", ".txt"), "w") as out:
        out.write(f"# made by torch_values.py with PyTorch {torch.__version__}\n")
        for name, net in (("mlp", Mlp()), ("activations", Activations()), ("cnn", Cnn())):
            write(out, name, net)
        for name in ("sequence", "image", "params", "weighted"):
            write(out, name, Described(Path(sys.argv[1]).resolve(), name))
