"""What a network's YAML means, in PyTorch: written from frontend/README.md, not from the compiler.

Layers, losses and metrics as functions of torch tensors in Lamina's layouts; autograd does the backward pass.
"""
import math
import re
from fractions import Fraction
import torch
import torch.nn.functional as F

SHORT_KEYS = {"dense": "units", "max_pool2d": "pool_size", "average_pool2d": "pool_size", "reshape": "target_shape",
              "activation": "activation", "dropout": "rate", "add": "inputs", "concatenate": "inputs",
              "leaky_relu": "negative_slope", "elu": "alpha", "constant": "value"}
CUT_DEVIATION = 0.87962566103423978  # of a normal distribution cut at two deviations, in units of the uncut one


def number(text):
    """A number of the YAML, which may be written as a fraction."""
    return float(Fraction(text)) if isinstance(text, str) else float(text)


def choice(entry):
    """`kind`, `kind: value` and `kind: {key: value}` as (kind, keys)."""
    if not isinstance(entry, dict):
        return entry, {}
    (kind, keys), = entry.items()
    if not isinstance(keys, dict):
        keys = {} if keys is None else {SHORT_KEYS[kind]: keys}
    return kind, keys


def named(entries):
    """(kind, name, keys) of each: those without a name are called by kind and number."""
    counts, result = {}, []
    for kind, keys in map(choice, entries):
        called = re.sub(r"[12]d$", "", kind)
        counts[called] = counts.get(called, 0) + 1
        result.append((kind, keys.get("name", f"{called}{counts[called]}"), keys))
    return result


def frozen_layers(description):
    return {name for _, name, keys in named(description["layers"]) if not keys.get("trainable", True)}


def pair(value):
    return list(value) if isinstance(value, list) else [value, value]


# ---- dropout ----

def stream(name):
    """FNV-1a: what tells apart the random numbers of layers."""
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 % 2**32
    return h


def philox(counter, key):
    """Philox 4x32-10 of Salmon et al. 2011: four words of 32 bits."""
    (a, b, c, d), (k0, k1) = counter, key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (p1 >> 32) ^ b ^ k0, p1 % 2**32, (p0 >> 32) ^ d ^ k1, p0 % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return a, b, c, d


def dropout_mask(name, rate, shape, seed, step):
    count = math.prod(shape)
    words = [w for block in range((count + 3) // 4)
             for w in philox((block, step % 2**32, stream(name), 0), (seed % 2**32, seed >> 32))]
    return torch.tensor([(w >> 8) * 2.0**-24 >= rate for w in words[:count]]).reshape(shape)


# ---- activations ----

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x, negative_slope=0.2: F.leaky_relu(x, number(negative_slope)),
    "elu": lambda x, alpha=1: F.elu(x, number(alpha)),
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=50),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
}


def activate(entry, x):
    kind, keys = choice(entry)
    return ACTIVATIONS[kind](x, **keys)


# ---- windows: images are [batch, rows, columns, channels] ----

def padding_of(keys, sizes, strides, image):
    """[[top, bottom], [left, right]]"""
    padding = keys.get("padding", "valid")
    if padding == "valid":
        return [[0, 0], [0, 0]]
    if padding == "same":
        totals = [max((-(-n // s) - 1) * s + k - n, 0) for k, s, n in zip(sizes, strides, image)]
        return [[t // 2, t - t // 2] for t in totals]
    return [p if isinstance(p, list) else [p, p] for p in pair(padding)]


def padded(x, sides, value):
    """As [batch, channels, rows, columns]."""
    (top, bottom), (left, right) = sides
    return F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=value)


def conv2d(net, name, keys, x):
    strides = pair(keys.get("strides", 1))
    sides = padding_of(keys, pair(keys["kernel_size"]), strides, x.shape[1:3])
    y = F.conv2d(padded(x, sides, 0), net.parameter(name, "weight").permute(3, 2, 0, 1).contiguous(), stride=strides)
    return net.finish(name, keys, y.permute(0, 2, 3, 1))


def pool_window(keys, x):
    sizes = pair(keys.get("pool_size", 2))
    strides = pair(keys.get("strides", sizes))
    return sizes, strides, padding_of(keys, sizes, strides, x.shape[1:3])


def max_pool2d(net, name, keys, x):
    sizes, strides, sides = pool_window(keys, x)
    return F.max_pool2d(padded(x, sides, -math.inf), sizes, strides).permute(0, 2, 3, 1)


def average_pool2d(net, name, keys, x):
    """Padding does not count: the sum over what a window covers, over how much that is."""
    sizes, strides, sides = pool_window(keys, x)
    total = F.avg_pool2d(padded(x, sides, 0), sizes, strides)
    covered = F.avg_pool2d(padded(torch.ones_like(x), sides, 0), sizes, strides)
    return (total / covered).permute(0, 2, 3, 1)


# ---- other layers ----

def dense(net, name, keys, x):
    return net.finish(name, keys, x @ net.parameter(name, "weight"))


def dropout(net, name, keys, x):
    rate = number(keys["rate"])
    if not net.training or rate == 0:
        return x
    mask = dropout_mask(name, rate, x.shape, int(net.values["seed"]), int(net.values["step"]))
    return torch.where(mask, x / (1 - rate), torch.zeros_like(x))


def rescale(net, name, keys, x):
    if keys.get("scale", True):
        x = x * net.parameter(name, "gamma")
    return x + net.parameter(name, "beta") if keys.get("center", True) else x


def batch_norm(net, name, keys, x):
    mean, variance = net.parameter(name, "moving_mean"), net.parameter(name, "moving_variance")
    if net.training and keys.get("trainable", True):
        rows, momentum = x.reshape(-1, x.shape[-1]), number(keys.get("momentum", 0.99))
        n, seen = len(rows), rows.mean(0)
        biased = (rows - seen).square().mean(0)
        net.moved[name + ".moving_mean"] = momentum * mean + (1 - momentum) * seen
        net.moved[name + ".moving_variance"] = momentum * variance + (1 - momentum) * biased * n / max(n - 1, 1)
        mean, variance = seen, biased
    return rescale(net, name, keys, (x - mean) / torch.sqrt(variance + number(keys.get("epsilon", 0.001))))


def layer_norm(net, name, keys, x):
    return rescale(net, name, keys, F.layer_norm(x, x.shape[-1:], eps=number(keys.get("epsilon", 0.001))))


LAYERS = {
    "dense": dense, "conv2d": conv2d, "max_pool2d": max_pool2d, "average_pool2d": average_pool2d, "dropout": dropout,
    "batch_norm": batch_norm, "layer_norm": layer_norm,
    "global_average_pool2d": lambda net, name, keys, x: x.mean((1, 2)),
    "flatten": lambda net, name, keys, x: x.reshape(len(x), -1),
    "reshape": lambda net, name, keys, x: x.reshape(len(x), *keys["target_shape"]),
    "activation": lambda net, name, keys, x: activate(keys["activation"], x),
    "add": lambda net, name, keys, *xs: sum(xs[1:], xs[0]),
    "concatenate": lambda net, name, keys, *xs: torch.cat(xs, keys.get("axis", -1)),
}


# ---- losses: a number an example ----

def mean_each(x):
    return x.reshape(len(x), -1).mean(1)


def smoothed(keys, y, of):
    s = number(keys.get("label_smoothing", 0))
    return (1 - s) * y + s / of


def categorical_cross_entropy(x, y, keys):
    y = smoothed(keys, y, y.shape[-1])
    log_p = x.log_softmax(-1) if keys.get("from_logits", True) else (x / x.sum(-1, True)).clamp(1e-7, 1 - 1e-7).log()
    return mean_each(-(y * log_p).sum(-1))


def kl_divergence(x, y, keys):
    if keys.get("from_logits", True):
        temperature = number(keys.get("temperature", 1))
        log_p, log_y = ((v / temperature).log_softmax(-1) for v in (x, y))
    else:
        log_p, log_y = x.clamp(1e-7, 1).log(), y.clamp(1e-7, 1).log()
    return mean_each((log_y.exp() * (log_y - log_p)).sum(-1))


def sigmoid_cross_entropy(x, y, keys):
    return mean_each(F.binary_cross_entropy_with_logits(x, smoothed(keys, y, 2), reduction="none"))


def focal(x, y, keys):
    y = smoothed(keys, y, 2)
    wrong = y * torch.sigmoid(-x) + (1 - y) * torch.sigmoid(x)
    each = wrong ** number(keys.get("gamma", 2)) * F.binary_cross_entropy_with_logits(x, y, reduction="none")
    alpha = number(keys["alpha"]) if "alpha" in keys else None
    return mean_each(each if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * each)


def poisson(x, y, keys):
    return mean_each(F.poisson_nll_loss(x, y, log_input=keys.get("log_input", False), eps=1e-7, reduction="none"))


def dice(x, y, keys):
    smooth, (x, y) = number(keys.get("smooth", 1e-7)), (v.reshape(len(v), -1) for v in (x, y))
    return 1 - (2 * (x * y).sum(1) + smooth) / ((x + y).sum(1) + smooth)


LOSSES = {
    "mean_squared_error": lambda x, y, keys: mean_each((x - y).square()),
    "mean_absolute_error": lambda x, y, keys: mean_each((x - y).abs()),
    "huber": lambda x, y, keys: mean_each(F.huber_loss(x, y, delta=number(keys.get("delta", 1)), reduction="none")),
    "poisson": poisson,
    "cosine_similarity": lambda x, y, keys: mean_each(-F.cosine_similarity(x, y, dim=-1, eps=1e-7)),
    "softmax_cross_entropy": lambda x, y, keys: F.cross_entropy(
        x, y.long(), reduction="none", label_smoothing=number(keys.get("label_smoothing", 0))),
    "categorical_cross_entropy": categorical_cross_entropy,
    "kl_divergence": kl_divergence,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "focal": focal,
    "hinge": lambda x, y, keys: mean_each((1 - x * y).relu()),
    "dice": dice,
}


class TorchNet:
    """One pass over a batch. `values` are the network's parameters and states by name, in the dtype to compute in."""

    def __init__(self, description, values, training):
        self.description, self.values, self.training = description, values, training
        self.moved = {}    # running statistics after a training step
        self.metrics = {}  # sums over the batch, by name
        self.unsure = {}   # examples whose largest logits are as good as equal, by the metric's name

    def parameter(self, layer, role):
        return self.values[f"{layer}.{role}"]

    def finish(self, name, keys, y):
        if keys.get("use_bias", True):
            y = y + self.parameter(name, "bias")
        return activate(keys.get("activation", "linear"), y)

    def read_inputs(self, inputs, dtype):
        scales = {n: d.get("scale", 1) if isinstance(d, dict) else 1 for n, d in self.description["inputs"].items()}
        return {name: x.to(dtype) * number(scales[name]) for name, x in inputs.items()}

    def forward(self, inputs, dtype):
        """Every input and layer by name."""
        known = self.read_inputs(inputs, dtype)
        before = next(iter(known))
        for kind, name, keys in named(self.description["layers"]):
            args = [known[i] for i in keys.get("inputs", [keys.get("input", before)])]
            known[name] = LAYERS[kind](self, name, keys, *args)
            before = name
        return known

    def objective(self, known, inputs):
        """The weighted losses, summed over the batch; `metrics` are set on the way."""
        losses, total = named(self.description["losses"]), 0
        for kind, name, keys in losses:
            said, true = (next(k for k in pair if k in keys) for pair in (("logits", "predictions"),
                                                                         ("labels", "targets")))
            each = LOSSES[kind](known[keys[said]], known[keys[true]], keys) * number(keys.get("weight", 1))
            total = total + each.sum()
            if len(losses) > 1:
                self.metrics[name] = each.sum()
        self.metrics.update(loss=total, examples=torch.tensor(float(len(next(iter(inputs.values()))))))
        self.count_hits(known, {name: keys for _, name, keys in losses})
        return total

    def count_hits(self, known, losses):
        for _, keys in map(choice, self.description.get("metrics", [])):
            loss = losses[keys.get("loss", next(iter(losses)))]
            logits, name = known[loss["logits"]], keys.get("name", "accuracy")
            self.metrics[name] = (logits.argmax(1) == known[loss["labels"]]).sum().double()
            largest = logits.detach().sort(1).values[:, -2:]
            self.unsure[name] = (largest[:, -1] - largest[:, 0] <= 1e-5 * largest.abs().max()).sum().item()


# ---- how parameters start, as Keras defines it ----

def start_of(entry, shape):
    """(kind, a, b): a constant a, uniform numbers in [a, b), or normal ones of mean a and deviation b."""
    kind, keys = choice(entry)
    field = math.prod(shape[:-2])
    fan_in, fan_out = (field * shape[-2], field * shape[-1]) if len(shape) > 1 else (shape[0], shape[0])
    get = lambda key, default: number(keys.get(key, default))
    if kind in ("zeros", "ones", "constant"):
        return "constant", {"zeros": 0.0, "ones": 1.0}.get(kind, get("value", 0)), 0.0
    if kind == "identity":
        return "identity", get("gain", 1), 0.0
    if kind == "random_uniform":
        return "uniform", get("minval", -0.05), get("maxval", 0.05)
    if kind in ("random_normal", "truncated_normal"):
        return kind.replace("random_", ""), get("mean", 0), get("stddev", 0.05)
    family, form = kind.split("_")
    variance = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[family]
    if form == "uniform":
        return "uniform", -math.sqrt(3 * variance), math.sqrt(3 * variance)
    return "truncated_normal", 0.0, math.sqrt(variance) / CUT_DEVIATION


def starts(description, shapes):
    """start_of every parameter and running statistic."""
    defaults = {"weight": ("kernel", "glorot_uniform"), "bias": ("bias", "zeros"), "gamma": ("gamma", "ones"),
                "beta": ("beta", "zeros"), "moving_mean": (None, "zeros"), "moving_variance": (None, "ones")}
    result = {}
    for _, layer, keys in named(description["layers"]):
        for role, (key, default) in defaults.items():
            name = f"{layer}.{role}"
            if name in shapes:
                result[name] = start_of(keys.get(f"{key}_initializer", default), shapes[name])
    return result
