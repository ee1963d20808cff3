"""What a network's YAML means, in PyTorch: written from frontend/LANGUAGE.md, not from the compiler.

Layers, losses and metrics as functions of torch tensors in Lamina's layouts; autograd does the backward pass.
"""
import functools
import math
import re
from fractions import Fraction
import torch
import torch.nn.functional as F

SHORT_KEYS = {"dense": "units", "max_pool1d": "pool_size", "max_pool2d": "pool_size", "average_pool1d": "pool_size",
              "average_pool2d": "pool_size", "reshape": "target_shape", "permute": "dims", "repeat_vector": "n",
              "activation": "activation", "dropout": "rate", "spatial_dropout1d": "rate", "spatial_dropout2d": "rate",
              "alpha_dropout": "rate", "gaussian_dropout": "rate", "gaussian_noise": "stddev", "add": "inputs",
              "subtract": "inputs", "multiply": "inputs", "maximum": "inputs", "minimum": "inputs", "dot": "inputs",
              "average": "inputs", "mixture": "inputs", "concatenate": "inputs", "group_norm": "groups",
              "zero_padding1d": "padding", "zero_padding2d": "padding", "cropping1d": "cropping",
              "cropping2d": "cropping", "upsample1d": "size", "upsample2d": "size",
              "l1": "l1", "l2": "l2", "leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha", "constant": "value", "sgd": "learning_rate",
              "adam": "learning_rate", "adamw": "learning_rate", "lamb": "learning_rate", "nadam": "learning_rate",
              "rmsprop": "learning_rate", "ema": "decay", "adagrad": "learning_rate", "adadelta": "learning_rate", "lion": "learning_rate"}
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


def uniform(net, path, shape, dtype):
    """In [0, 1), a number an element."""
    seed, step, count = int(net.values["seed"]), int(net.values["step"]), math.prod(shape)
    words = [w for block in range((count + 3) // 4)
             for w in philox((block, step % 2**32, stream(path), 0), (seed % 2**32, seed >> 32))]
    return torch.tensor([(w >> 8) * 2.0**-24 for w in words[:count]], dtype=dtype).reshape(shape)


def normal(net, name, shape, dtype):
    """Box & Muller 1958."""
    u, v = uniform(net, name, shape, dtype), uniform(net, name + ".angle", shape, dtype)
    return torch.sqrt(-2 * torch.log(u + 2.0**-24)) * torch.cos(2 * math.pi * v)


# ---- activations ----

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x, negative_slope=0.2: F.leaky_relu(x, number(negative_slope)),
    "elu": lambda x, alpha=1: F.elu(x, number(alpha)),
    "selu": F.selu,
    "gelu": lambda x, approximate=False: F.gelu(x, approximate="tanh" if approximate else "none"),
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=50),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "log_sigmoid": F.logsigmoid,
    "relu6": F.relu6,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "hard_tanh": F.hardtanh,
    "mish": F.mish,
    "softsign": F.softsign,
    "celu": lambda x, alpha=1: F.celu(x, number(alpha)),
    "exponential": torch.exp,
}


def activate(entry, x):
    kind, keys = choice(entry)
    return ACTIVATIONS[kind](x, **keys)


# ---- windows: tensors are [batch, steps, channels] or [batch, rows, columns, channels] ----

def each(value, dims):
    return list(value) if isinstance(value, list) else [value] * dims


def margins(value, dims):
    """[[low, high], ...] of n, [rows, columns], [before, behind] or [[top, bottom], [left, right]]."""
    if dims == 1:
        return [each(value, 2)]
    return [p if isinstance(p, list) else [p, p] for p in each(value, 2)]


def padding_of(keys, sizes, strides, dilations, room):
    """[[low, high], ...] and whether zeros or the mirrored input stand there."""
    padding, reach = keys.get("padding", "valid"), [(k - 1) * d + 1 for k, d in zip(sizes, dilations)]
    if padding == "valid":
        return [[0, 0]] * len(sizes), False
    if padding == "causal":
        return [[reach[0] - 1, 0]], False
    if padding in ("same", "reflect"):
        totals = [max((-(-n // s) - 1) * s + k - n, 0) for k, s, n in zip(reach, strides, room)]
        return [[t // 2, t - t // 2] for t in totals], padding == "reflect"
    return margins(padding, len(sizes)), False


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def padded(x, sides, value=0, mirrored=False):
    """Channels come first; `sides` are those of the first dimension first."""
    flat = [n for side in reversed(sides) for n in side]
    if not mirrored:
        return F.pad(channels_first(x), flat, value=value)
    x = channels_first(x)
    for axis, (low, high) in enumerate(sides, 2): # F.pad cannot mirror in double and every rank
        n = x.shape[axis]
        index = list(range(low, 0, -1)) + list(range(n)) + list(range(n - 2, n - 2 - high, -1))
        x = x.index_select(axis, torch.tensor(index))
    return x


CONVOLUTIONS, TRANSPOSED = {1: F.conv1d, 2: F.conv2d}, {1: F.conv_transpose1d, 2: F.conv_transpose2d}


def windowed(net, name, keys, x, role, groups):
    dims = x.dim() - 2
    sizes, strides = each(keys["kernel_size"], dims), each(keys.get("strides", 1), dims)
    dilations = each(keys.get("dilation_rate", 1), dims)
    sides, mirrored = padding_of(keys, sizes, strides, dilations, x.shape[1:-1])
    weight = net.parameter(name, role).movedim(-1, 0).movedim(-1, 1).contiguous()
    return channels_last(CONVOLUTIONS[dims](padded(x, sides, 0, mirrored), weight, stride=strides, dilation=dilations,
                                            groups=groups))


def conv(net, name, keys, x):
    return net.finish(name, keys, windowed(net, name, keys, x, "weight", keys.get("groups", 1)))


def depthwise(net, name, keys, x):
    return net.finish(name, keys, windowed(net, name, keys, x, "weight", x.shape[-1]))


def separable(net, name, keys, x):
    y = windowed(net, name, keys, x, "depthwise_weight", x.shape[-1])
    return net.finish(name, keys, y @ net.parameter(name, "pointwise_weight"))


def transposed(net, name, keys, x):
    """All that there is without padding, and then cut, or extended, to what the padding leaves."""
    dims = x.dim() - 2
    sizes, strides = each(keys["kernel_size"], dims), each(keys.get("strides", 1), dims)
    dilations, padding = each(keys.get("dilation_rate", 1), dims), keys.get("padding", "valid")
    extra = each(keys.get("output_padding", 0), dims)
    reach = [(k - 1) * d + 1 for k, d in zip(sizes, dilations)]
    sides = margins(0 if padding == "valid" else padding, dims) if padding != "same" else []
    if padding == "same":
        totals = [max(k - s, 0) for k, s in zip(reach, strides)]
        sides = [[t // 2, t - t // 2] for t in totals]
        if "output_padding" not in keys:
            extra = [s - k + t for k, s, t in zip(reach, strides, totals)]
    weight = net.parameter(name, "weight").movedim(-1, 0).movedim(-1, 1).contiguous()
    y = TRANSPOSED[dims](channels_first(x), weight, stride=strides, dilation=dilations)
    y = F.pad(y, [n for (low, high), e in reversed(list(zip(sides, extra))) for n in (-low, e - high)])
    return net.finish(name, keys, channels_last(y))


def pool_window(keys, x):
    dims = x.dim() - 2
    sizes = each(keys.get("pool_size", 2), dims)
    strides = each(keys.get("strides", sizes), dims)
    return sizes, strides, padding_of(keys, sizes, strides, [1] * dims, x.shape[1:-1])[0]


def max_pool(net, name, keys, x):
    sizes, strides, sides = pool_window(keys, x)
    return channels_last((F.max_pool1d if x.dim() == 3 else F.max_pool2d)(padded(x, sides, -math.inf), sizes, strides))


def average_pool(net, name, keys, x):
    """Padding does not count: the sum over what a window covers, over how much that is."""
    sizes, strides, sides = pool_window(keys, x)
    mean = F.avg_pool1d if x.dim() == 3 else F.avg_pool2d
    total, covered = (mean(padded(t, sides), sizes, strides) for t in (x, torch.ones_like(x)))
    return channels_last(total / covered)


def over_map(x):
    return x.reshape(len(x), -1, x.shape[-1])


def cropped(net, name, keys, x):
    for axis, (low, high) in enumerate(margins(keys["cropping"], x.dim() - 2), 1):
        x = x.narrow(axis, low, x.shape[axis] - low - high)
    return x


def upsampled(net, name, keys, x):
    dims = x.dim() - 2
    factors = [float(f) for f in each(keys.get("size", 2), dims)]
    if keys.get("interpolation", "nearest") == "nearest":
        return channels_last(F.interpolate(channels_first(x), scale_factor=factors))
    return channels_last(F.interpolate(channels_first(x), scale_factor=factors, mode="bilinear"))


# ---- other layers ----

def dense(net, name, keys, x):
    return net.finish(name, keys, x @ net.parameter(name, "weight"))


def keep(x, chance, rate):
    return torch.where(chance >= rate, x / (1 - rate), torch.zeros_like(x))


def noisy(rule):
    """A layer that works in training alone; `rule` is told its rate or deviation."""
    def layer(net, name, keys, x):
        amount = number(keys["stddev" if "stddev" in keys else "rate"])
        return rule(net, name, x, amount) if net.training and amount else x
    return layer


def dropout(net, name, x, rate):
    return keep(x, uniform(net, name, x.shape, x.dtype), rate)


def spatial_dropout(net, name, x, rate):
    shape = [len(x)] + [1] * (x.dim() - 2) + [x.shape[-1]]
    return keep(x, uniform(net, name, shape, x.dtype), rate)


def alpha_dropout(net, name, x, rate):
    low = -1.6732632423543772 * 1.0507009873554805
    a = ((1 - rate) * (1 + rate * low**2))**-0.5
    kept = uniform(net, name, x.shape, x.dtype) >= rate
    return a * torch.where(kept, x, torch.full_like(x, low)) - a * low * rate


def gaussian_dropout(net, name, x, rate):
    return x * (1 + math.sqrt(rate / (1 - rate)) * normal(net, name, x.shape, x.dtype))


def gaussian_noise(net, name, x, stddev):
    return x + stddev * normal(net, name, x.shape, x.dtype)


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
        name_of = net.owners.get(name, name)
        net.moved[name_of + ".moving_mean"] = momentum * mean + (1 - momentum) * seen
        net.moved[name_of + ".moving_variance"] = momentum * variance + (1 - momentum) * biased * n / max(n - 1, 1)
        mean, variance = seen, biased
    return rescale(net, name, keys, (x - mean) / torch.sqrt(variance + number(keys.get("epsilon", 0.001))))


def layer_norm(net, name, keys, x):
    return rescale(net, name, keys, F.layer_norm(x, x.shape[-1:], eps=number(keys.get("epsilon", 0.001))))


def group_norm(net, name, keys, x):
    y = F.group_norm(channels_first(x), keys.get("groups", 32), eps=number(keys.get("epsilon", 0.001)))
    return rescale(net, name, keys, channels_last(y))


def rms_norm(net, name, keys, x):
    mean = x.square().mean(-1, keepdim=True)
    return x / torch.sqrt(mean + number(keys.get("epsilon", 1e-6))) * net.parameter(name, "gamma")


def unit(x, axis=-1):
    return x / torch.sqrt(x.square().sum(axis, keepdim=True).clamp(min=1e-12))


def dot(net, name, keys, x, y):
    axes = each(keys.get("axes", 1), 2)
    if keys.get("normalize", False):
        x, y = unit(x, axes[0]), unit(y, axes[1])
    x, y = x.movedim(axes[0], -1), y.movedim(axes[1], -1)
    shape = [len(x), *x.shape[1:-1], *y.shape[1:-1]]
    z = torch.einsum("bik,bjk->bij", x.reshape(len(x), -1, x.shape[-1]), y.reshape(len(y), -1, y.shape[-1]))
    return z.reshape(shape if len(shape) > 1 else [len(x), 1])


def parts(keys, count):
    weights = [number(w) for w in keys.get("weights", [1] * count)]
    return [w / sum(weights) for w in weights]


def mixture(net, name, keys, *xs):
    return sum(w * torch.softmax(x, -1) for w, x in zip(parts(keys, len(xs)), xs)).log()


def prelu(net, name, keys, x):
    return torch.where(x <= 0, x * net.parameter(name, "alpha"), x)


LAYERS = {
    "dense": dense, "conv1d": conv, "conv2d": conv, "depthwise_conv1d": depthwise, "depthwise_conv2d": depthwise,
    "separable_conv1d": separable, "separable_conv2d": separable, "conv1d_transpose": transposed,
    "conv2d_transpose": transposed, "max_pool1d": max_pool, "max_pool2d": max_pool, "average_pool1d": average_pool,
    "average_pool2d": average_pool, "cropping1d": cropped, "cropping2d": cropped, "upsample1d": upsampled,
    "upsample2d": upsampled, "dropout": noisy(dropout), "spatial_dropout1d": noisy(spatial_dropout),
    "spatial_dropout2d": noisy(spatial_dropout), "alpha_dropout": noisy(alpha_dropout),
    "gaussian_dropout": noisy(gaussian_dropout), "gaussian_noise": noisy(gaussian_noise),
    "batch_norm": batch_norm, "layer_norm": layer_norm, "group_norm": group_norm, "rms_norm": rms_norm,
    "unit_norm": lambda net, name, keys, x: unit(x), "prelu": prelu, "dot": dot, "mixture": mixture,
    "global_average_pool1d": lambda net, name, keys, x: over_map(x).mean(1),
    "global_average_pool2d": lambda net, name, keys, x: over_map(x).mean(1),
    "global_max_pool1d": lambda net, name, keys, x: over_map(x).amax(1),
    "global_max_pool2d": lambda net, name, keys, x: over_map(x).amax(1),
    "zero_padding1d": lambda net, name, keys, x: channels_last(padded(x, margins(keys.get("padding", 1), 1))),
    "zero_padding2d": lambda net, name, keys, x: channels_last(padded(x, margins(keys.get("padding", 1), 2))),
    "permute": lambda net, name, keys, x: x.permute(0, *keys["dims"]),
    "repeat_vector": lambda net, name, keys, x: x[:, None].expand(-1, keys["n"], -1),
    "subtract": lambda net, name, keys, x, y: x - y,
    "multiply": lambda net, name, keys, *xs: math.prod(xs),
    "maximum": lambda net, name, keys, *xs: functools.reduce(torch.maximum, xs),
    "minimum": lambda net, name, keys, *xs: functools.reduce(torch.minimum, xs),
    "average": lambda net, name, keys, *xs: sum(w * x for w, x in zip(parts(keys, len(xs)), xs)),
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


def numbers(keys, key, like):
    """A list of the YAML as a tensor, or None."""
    return torch.tensor([number(v) for v in keys[key]]).to(like.dtype) if key in keys else None


def softmax_cross_entropy(x, y, keys):
    smoothing, weights = number(keys.get("label_smoothing", 0)), numbers(keys, "class_weights", x)
    each = F.cross_entropy(x, y.long(), reduction="none", label_smoothing=smoothing)
    return each if weights is None else each * weights[y.long()]


def categorical_cross_entropy(x, y, keys):
    smooth_y = smoothed(keys, y, y.shape[-1])
    log_p = x.log_softmax(-1) if keys.get("from_logits", True) else (x / x.sum(-1, True)).clamp(1e-7, 1 - 1e-7).log()
    weights = numbers(keys, "class_weights", x)
    return mean_each(-(smooth_y * log_p).sum(-1) * (1 if weights is None else y @ weights))


def kl_divergence(x, y, keys):
    if keys.get("from_logits", True):
        temperature = number(keys.get("temperature", 1))
        log_p, log_y = ((v / temperature).log_softmax(-1) for v in (x, y))
    else:
        log_p, log_y = x.clamp(1e-7, 1).log(), y.clamp(1e-7, 1).log()
    return mean_each((log_y.exp() * (log_y - log_p)).sum(-1))


def sigmoid_cross_entropy(x, y, keys):
    weight = torch.tensor(number(keys["pos_weight"])).to(x.dtype) if "pos_weight" in keys else None
    return mean_each(F.binary_cross_entropy_with_logits(x, smoothed(keys, y, 2), reduction="none", pos_weight=weight))


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
    "softmax_cross_entropy": softmax_cross_entropy,
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
        self.owners = {}   # of layers that share parameters
        self.penalties = []
        self.unsure = {}   # examples whose largest logits are as good as equal, by the metric's name

    def parameter(self, layer, role):
        name = f"{self.owners.get(layer, layer)}.{role}"
        return self.moved.get(name, self.values[name])

    def finish(self, name, keys, y):
        if keys.get("use_bias", True):
            y = y + self.parameter(name, "bias")
        return activate(keys.get("activation", "linear"), y)

    def read_inputs(self, inputs, dtype):
        scales = {n: d.get("scale", 1) if isinstance(d, dict) else 1 for n, d in self.description["inputs"].items()}
        first = {n for n, d in self.description["inputs"].items()
                 if isinstance(d, dict) and d.get("layout", "") in ("ncw", "nchw")}
        return {name: (channels_last(x) if name in first else x).to(dtype) * number(scales[name])
                for name, x in inputs.items()}

    def penalise(self, name, keys, value):
        """That of weights, which counts for each example, and that of values, example by example."""
        for key, entry in keys.items():
            what = key.removesuffix("_regularizer")
            if what == key or (what != "activity" and (name in self.owners or not keys.get("trainable", True))):
                continue
            kind, factors = choice(entry)
            factors = factors if factors or kind == "l1_l2" else {kind: 0.01}
            role = {"kernel": "weight", "depthwise": "depthwise_weight", "pointwise": "pointwise_weight"}.get(what, what)
            x = value if what == "activity" else self.parameter(name, role)
            times = 1 if what == "activity" else len(value)
            self.penalties.append(times * (number(factors.get("l1", 0)) * x.abs().sum()
                                           + number(factors.get("l2", 0)) * x.square().sum()))

    def shared(self, name, keys, before):
        """The keys of a layer that shares parameters: what it does not say is as in the layer that has them."""
        if "share" not in keys:
            return keys
        other = before[keys["share"]]
        self.owners[name] = self.owners.get(keys["share"], keys["share"])
        own = ("name", "input", "inputs", "activity_regularizer")
        return {**{k: v for k, v in other.items() if k not in own}, **keys}

    def forward(self, inputs, dtype):
        """Every input and layer by name."""
        known = self.read_inputs(inputs, dtype)
        before, all_keys = next(iter(known)), {}
        for kind, name, keys in named(self.description["layers"]):
            keys = all_keys[name] = self.shared(name, keys, all_keys)
            args = [known[i] for i in keys.get("inputs", [keys.get("input", before)])]
            known[name] = LAYERS[kind](self, name, keys, *args)
            self.penalise(name, keys, known[name])
            before = name
        return known

    def objective(self, known, inputs):
        """The weighted losses, summed over the batch; `metrics` are set on the way."""
        losses, total = named(self.description["losses"]), 0
        for kind, name, keys in losses:
            said, true = (next(k for k in pair if k in keys) for pair in (("logits", "predictions"),
                                                                         ("labels", "targets")))
            each = LOSSES[kind](known[keys[said]], known[keys[true]], keys) * number(keys.get("weight", 1))
            if "sample_weights" in keys:
                each = each * known[keys["sample_weights"]]
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
                "beta": ("beta", "zeros"), "moving_mean": (None, "zeros"), "moving_variance": (None, "ones"),
                "depthwise_weight": ("depthwise", "glorot_uniform"), "alpha": ("alpha", "zeros"),
                "pointwise_weight": ("pointwise", "glorot_uniform")}
    result = {}
    for kind, layer, keys in named(description["layers"]):
        for role, (key, default) in defaults.items():
            name = f"{layer}.{role}"
            if name in shapes:
                shape = list(shapes[name])
                if role == "depthwise_weight" or kind.startswith("depthwise") and role == "weight":
                    shape[-1] = keys.get("depth_multiplier", 1)
                if role == "alpha":
                    shape = [1]
                result[name] = start_of(keys.get(f"{key}_initializer", default), shape)
    return result
