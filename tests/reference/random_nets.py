#!/usr/bin/env python3
"""Compare networks that nobody wrote with what PyTorch makes of them in double.

    random_nets.py BUILD 17-30            the nets of these seeds (tests/unit/random_net.c)
    random_nets.py BUILD net.yaml ...     any other nets

Each net takes a few training steps, then infers and evaluates, on batches of several sizes. PyTorch starts each of them
from what Lamina's parameters, moments and running statistics were before it, so that rounding does not pile up. What is
compared: how parameters are said to start, metrics, outputs, running statistics, moments and updates (the difference,
since a parameter itself hardly changes in a step).

What is near enough: float32 rounds each of some hundred operations in a row to 6e-8, so 1e-4 of a tensor's largest
value is far above rounding and far below any fault in a formula. Where a net amplifies rounding, or stands at the
corner of a relu, that is not enough; so a tensor that differs by more may still differ by SLACK times what PyTorch
itself makes of inputs and parameters changed by 1e-7 of their value, and of float32. Such tensors are counted. A
gradient which is 0 by cancellation (a bias before batch_norm) is held against the largest of all gradients.
"""
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
import torch
import yaml
from compiled_net import CONSTANT, INITIALIZERS, SEED, CompiledNet
from torch_net import TorchNet, choice, frozen_layers, named, number, starts

STEPS = 3
NEAR, NEAR_ZERO, STORED, SLACK = 1e-4, 1e-5, 2e-7, 10
JITTERS = (1, 2, 3, 4)
ROLES = ("weight", "depthwise_weight", "pointwise_weight", "bias", "gamma", "beta", "alpha", "moving_mean",
         "moving_variance")


# ---- where nets come from ----

def net_of_seed(build, seed):
    """The tests print what they make of a seed."""
    run = subprocess.run([build / "unit_tests", "random"], env=os.environ | {"LAMINA_SEED": str(seed)},
                         capture_output=True, text=True, check=False)
    return run.stdout.split(f"# seed {seed}\n")[1].split("# end")[0]


def nets_of(build, what):
    """(label, text) of each net that the arguments name."""
    if len(what) == 1 and not Path(what[0]).exists():
        first, last = (what[0].split("-") * 2)[:2]
        for seed in range(int(first), int(last) + 1):
            yield f"seed {seed}", net_of_seed(build, seed)
    else:
        for path in what:
            yield path, Path(path).read_text()


def compiled(build, text, folder):
    path = Path(folder) / "net.yaml"
    path.write_text(text)
    library = path.with_suffix(".so")
    command = [build / "lamina", "compile", path, "-o", library]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"lamina compile failed:\n{run.stderr}")
    return CompiledNet(library, yaml.safe_load(text).get("name", "net"))


# ---- numbers to start from ----

def start_values(net, random):
    """Parameters and running statistics that hide nothing, such as a gamma of 1 would; states as they should start."""
    values = {}
    for t in net.tensors:
        normal = torch.randn(t.shape, generator=random, dtype=torch.float64)
        role = t.name.rsplit(".", 1)[-1]
        if t.init == SEED:
            values[t.name] = torch.full(t.shape, 20260 + 2**33)
        elif "/" in t.name or role not in ROLES:
            values[t.name] = torch.full(t.shape, t.a)
        elif role.endswith("weight"):
            values[t.name] = normal / torch.tensor(t.shape[:-1]).prod().sqrt()
        else:
            values[t.name] = {"gamma": 1 + 0.3 * normal, "moving_variance": 0.2 + normal.abs()}.get(role, 0.3 * normal)
    return values


def draw_inputs(net, description, batch, random):
    """Bytes, small whole numbers, or numbers around 0; labels below the number of classes."""
    classes = {keys["labels"]: keys["logits"] for kind, _, keys in named(description["losses"])
               if kind == "softmax_cross_entropy"}
    widths = {t.name: t.shape[-1] for t in net.outputs if t.shape}
    inputs = {}
    for t in net.inputs:
        shape = t.room(batch).shape
        if t.name in classes:
            inputs[t.name] = torch.randint(0, widths[classes[t.name]], shape, generator=random)
        elif t.dtype.is_floating_point:
            inputs[t.name] = torch.randn(shape, generator=random)
        else:
            low, high = (0, 256) if t.dtype == torch.uint8 else (-3, 4)
            inputs[t.name] = torch.randint(low, high, shape, generator=random)
    return inputs


# ---- what PyTorch makes of it ----

def prepared(tensors, dtype, jitter):
    """In the dtype to compute in; with a jitter, a little changed. Whole numbers stay what they are."""
    random, result = torch.Generator().manual_seed(jitter), dict(tensors)
    for name, t in tensors.items():
        if t.is_floating_point():
            change = 1e-7 * torch.randn(t.shape, generator=random, dtype=dtype) if jitter else 0
            result[name] = t.to(dtype) * (1 + change)
    return result


def trained(net, description):
    """The parameters that are, by name; those of frozen layers stay as they are."""
    frozen = frozen_layers(description)
    return [t.name for t in net.tensors[:net.net.param_count] if t.name.rsplit(".", 1)[0] not in frozen]


def unsure_of(model):
    return {"metric." + n: count for n, count in model.unsure.items()}


def clipped(description, gradients):
    """By value, by the norm of each or by that of all together, where the YAML asks for it."""
    clip = description.get("train", {}).get("gradient_clip", {})
    (kind, most), = clip.items() if isinstance(clip, dict) and clip else [("global_norm", clip or math.inf)]
    most = number(most)
    if kind == "value":
        return [g.clamp(-most, most) for g in gradients]
    norms = [g.norm() for g in gradients]
    if kind == "global_norm":
        norms = [sum(n.square() for n in norms).sqrt()] * len(norms)
    return [g * (most / n) if n > most else g for g, n in zip(gradients, norms)]


def reference_step(net, description, before, inputs, dtype=torch.float64, jitter=0):
    """A training step up to the gradients: metrics, running statistics, gradients ("gradient/NAME")."""
    values, inputs = prepared(before, dtype, jitter), prepared(inputs, dtype, jitter)
    parameters = {name: values[name].requires_grad_() for name in trained(net, description)}
    model = TorchNet(description, values, training=True)
    loss = model.objective(model.forward(inputs, dtype), inputs) / len(next(iter(inputs.values())))
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True) if loss.requires_grad else (
        [None] * len(parameters))
    result = {"metric." + n: v.detach() for n, v in model.metrics.items()}
    result.update({n: v.detach() for n, v in model.moved.items()})
    gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters.values(), gradients)]
    result.update({"gradient/" + name: g for name, g in zip(parameters, clipped(description, gradients))})
    return {n: v.double() for n, v in result.items()}, unsure_of(model)


def as_inference_reads(values):
    """With the averages of parameters in their place, where there are any."""
    return values | {n.removeprefix("average/"): v for n, v in values.items() if n.startswith("average/")}


def reference_pass(net, description, before, inputs, dtype=torch.float64, jitter=0):
    """Inference and evaluation: outputs and metrics."""
    before = as_inference_reads(before)
    inputs = prepared(inputs, dtype, jitter)
    model = TorchNet(description, prepared(before, dtype, jitter), training=False)
    known = model.forward(inputs, dtype)
    model.objective(known, inputs)
    result = {"metric." + n: v for n, v in model.metrics.items()} | {t.name: known[t.name] for t in net.outputs}
    return {n: v.double() for n, v in result.items()}, unsure_of(model)


# ---- what the optimizer makes of a gradient: Lamina's own moments go in, so that each formula is seen alone ----

def sgd(keys, rate, before, after, name, gradient):
    step = rate * gradient
    momentum = number(keys.get("momentum", 0))
    if not momentum:
        return {name: -step}
    moment = "sgd.velocity/" + name
    nesterov = keys.get("nesterov", False)
    if not keys.get("rate_in_velocity", True):
        velocity = momentum * before[moment].double() + gradient
        along = gradient + momentum * after[moment].double() if nesterov else after[moment].double()
        return {moment: velocity, name: -rate * along}
    velocity = momentum * before[moment].double() - step
    return {moment: velocity, name: momentum * after[moment].double() - step if nesterov else after[moment].double()}


def adam(keys, rate, before, after, name, gradient):
    """Kingma & Ba 2015, algorithm 1."""
    beta_1, beta_2 = number(keys.get("beta_1", 0.9)), number(keys.get("beta_2", 0.999))
    m, v, t = "adam.m/" + name, "adam.v/" + name, int(before["step"]) + 1
    hat_m = after[m].double() / (1 - beta_1**t)
    hat_v = after[v].double() / (1 - beta_2**t)
    return {m: beta_1 * before[m].double() + (1 - beta_1) * gradient,
            v: beta_2 * before[v].double() + (1 - beta_2) * gradient**2,
            name: -rate * hat_m / (hat_v.sqrt() + number(keys.get("epsilon", 1e-7)))}


def lamb(keys, rate, before, after, name, gradient):
    """You et al. 2019 as keras.optimizers.Lamb has it: the weight has decayed before."""
    result = {key.replace("adam.", "lamb."): value for key, value in adam(
        keys, 1, *({k.replace("lamb.", "adam."): v for k, v in t.items()} for t in (before, after)), name,
        gradient).items()}
    weight, step = before[name].double(), result[name]
    lengths = (weight - decay_of("lamb", keys, rate, weight)).norm(), step.norm()
    return result | {name: rate * step * (lengths[0] / lengths[1] if min(lengths) > 0 else 1)}


def nadam(keys, rate, before, after, name, gradient):
    """Dozat 2016 as torch.optim.NAdam has it; the step's momenta are worked out from the step's number."""
    beta_1, beta_2 = number(keys.get("beta_1", 0.9)), number(keys.get("beta_2", 0.999))
    m, v, t = "nadam.m/" + name, "nadam.v/" + name, int(before["step"]) + 1
    momenta = [beta_1 * (1 - 0.96**(i * number(keys.get("momentum_decay", 0.004))) / 2) for i in range(1, t + 2)]
    product, next_product = math.prod(momenta[:t]), math.prod(momenta)
    over = (momenta[t] * after[m].double() / (1 - next_product) + (1 - momenta[t - 1]) * gradient / (1 - product))
    hat_v = after[v].double() / (1 - beta_2**t)
    return {m: beta_1 * before[m].double() + (1 - beta_1) * gradient,
            v: beta_2 * before[v].double() + (1 - beta_2) * gradient**2,
            name: -rate * over / (hat_v.sqrt() + number(keys.get("epsilon", 1e-7)))}


def rmsprop(keys, rate, before, after, name, gradient):
    """torch.optim.RMSprop."""
    rho, momentum, centered = number(keys.get("rho", 0.9)), number(keys.get("momentum", 0)), keys.get("centered", False)
    v, a, b = ["rmsprop.%s/%s" % (what, name) for what in ("square", "mean", "velocity")]
    result = {v: rho * before[v].double() + (1 - rho) * gradient**2}
    under = after[v].double()
    if centered:
        result[a] = rho * before[a].double() + (1 - rho) * gradient
        under = (under - after[a].double()**2).clamp(min=0)
    step = gradient / (under.sqrt() + number(keys.get("epsilon", 1e-7)))
    if momentum:
        step = result[b] = momentum * before[b].double() + step
    return result | {name: -rate * step}


def adagrad(keys, rate, before, after, name, gradient):
    """torch.optim.Adagrad."""
    total = "adagrad.sum/" + name
    return {total: before[total].double() + gradient**2,
            name: -rate * gradient / (after[total].double().sqrt() + number(keys.get("epsilon", 1e-7)))}


def adadelta(keys, rate, before, after, name, gradient):
    """torch.optim.Adadelta."""
    rho, epsilon = number(keys.get("rho", 0.9)), number(keys.get("epsilon", 1e-6))
    v, x = "adadelta.square/" + name, "adadelta.step_square/" + name
    step = gradient * ((before[x].double() + epsilon) / (after[v].double() + epsilon)).sqrt()
    return {v: rho * before[v].double() + (1 - rho) * gradient**2,
            x: rho * before[x].double() + (1 - rho) * step**2, name: -rate * step}


def lion(keys, rate, before, after, name, gradient):
    """Chen et al. 2023, algorithm 2."""
    m, beta_1, beta_2 = "lion.m/" + name, number(keys.get("beta_1", 0.9)), number(keys.get("beta_2", 0.99))
    toward = beta_1 * before[m].double() + (1 - beta_1) * gradient
    return {m: beta_2 * before[m].double() + (1 - beta_2) * gradient, name: -rate * toward.sign()}


RULES = {"sgd": (sgd, 0.01), "adam": (adam, 0.001), "adamw": (adam, 0.001), "lamb": (lamb, 0.001), "nadam": (nadam, 0.001),
         "rmsprop": (rmsprop, 0.001), "adagrad": (adagrad, 0.01), "adadelta": (adadelta, 1), "lion": (lion, 0.0001)}


def decay_of(kind, keys, rate, weight):
    """What decays of a weight, decoupled from its gradient."""
    decays = weight.dim() > 1 or keys.get("decay_vectors", False)
    return rate * number(keys.get("weight_decay", 0.004 if kind == "adamw" else 0)) * weight.double() if decays else 0


def optimizer_of(description, parameter):
    """The net's, or that of the group which the layer belongs to."""
    layer, groups = parameter.rsplit(".", 1)[0], description.get("groups", [])
    return next((g["optimizer"] for g in groups if layer in g["layers"]), description["optimizer"])


def average_share(description, t):
    """Of the new value in a parameter's average, in step t from 0."""
    kind, keys = choice(description["train"]["averaging"])
    if kind == "swa":
        past = t + 1 - keys["start"]
        return 1 if past <= 0 else 0 if past % keys["every"] else 1 / (past // keys["every"] + 1)
    decay = number(keys.get("decay", 0.999))
    return 1 if t == 0 else 1 - (min(decay, (1 + t) / (10 + t)) if keys.get("warmup", False) else decay)


def updates(net, description, before, after, reference):
    """Moments, and by how much each parameter changes."""
    result = {}
    for name in trained(net, description):
        kind, keys = choice(optimizer_of(description, name))
        rule, rate = RULES[kind]
        rate = number(keys.get("learning_rate", rate))
        gradient = reference["gradient/" + name]
        result.update(rule(keys, rate, before, after, name, gradient))
        result[name] = result[name] - decay_of(kind, keys, rate, before[name])
        average = "average/" + name
        if average in before:
            share = average_share(description, int(before["step"]))
            result[average] = before[average].double() + share * (after[name].double() - before[average].double())
    return result


# ---- comparing ----

class Comparison:
    def __init__(self, label):
        self.label, self.compared, self.amplified, self.failed = label, 0, 0, 0

    def fail(self, what):
        self.failed += 1
        print(f"{self.label}: {what}", flush=True)

    def check(self, where, got, want, floors, variations):
        """Tensors of 'want' in 'got'; 'variations' makes others that are as right as these."""
        others = None
        for name, right in want.items():
            self.compared += 1
            off, largest = ((got[name].double() - right).abs().max().item(), right.abs().max().item())
            if off <= NEAR * largest + floors.get(name, 0): # not so for NaN
                continue
            others = others or list(variations())
            spread = max((o[name] - right).abs().max().item() for o in others)
            if off <= SLACK * spread:
                self.amplified += 1
            else:
                self.fail(f"{where}: {name} is off by {off:.3g}, largest {largest:.3g}, spread {spread:.3g}")


def variations(reference, *arguments):
    yield reference(*arguments, dtype=torch.float32)[0]
    for jitter in JITTERS:
        yield reference(*arguments, jitter=jitter)[0]


def check_step(c, where, net, description, before, inputs):
    after, parameters = net.read(), trained(net, description)
    arguments = net, description, before, inputs
    for t in net.tensors:
        if t.name.rsplit(".", 1)[0] in frozen_layers(description) and not torch.equal(after[t.name], before[t.name]):
            c.fail(f"{where}: {t.name} of a frozen layer changes")

    def expected(reference):
        others = {n: v for n, v in reference.items() if "gradient/" not in n}
        return others | updates(net, description, before, after, reference)

    reference, floors = reference_step(*arguments)
    largest = max((reference["gradient/" + n].abs().max().item() for n in parameters), default=0)
    low, high = (expected({n: torch.full_like(v, g) for n, v in reference.items()}) for g in (0, NEAR_ZERO * largest))
    for n in updates(net, description, before, after, reference):
        floors[n] = (high[n] - low[n]).abs().max().item()
    for n in parameters: # a difference of two stored numbers
        floors[n] += STORED * before[n].abs().max().item()
    got = after | {n: after[n].double() - before[n].double() for n in parameters}
    c.check(where, got, expected(reference), floors,
            lambda: map(expected, variations(reference_step, *arguments)))


def check_starts(c, net, description):
    want = starts(description, {t.name: t.shape for t in net.tensors})
    for t in net.tensors:
        if t.name not in want:
            continue
        kind, a, b = want[t.name]
        same = INITIALIZERS[t.init] == kind and abs(t.a - a) <= 1e-6 * abs(a)
        if not same or t.init != CONSTANT and abs(t.b - b) > 1e-6 * abs(b):
            c.fail(f"{t.name} starts as {INITIALIZERS[t.init]} {t.a:g} {t.b:g}, expected {kind} {a:g} {b:g}")


def without_sums(values):
    return {n: torch.zeros_like(v) if n.startswith("metric.") else v for n, v in values.items()}


def compare(label, build, text, folder):
    c, random = Comparison(label), torch.Generator().manual_seed(len(text))
    net, description = compiled(build, text, folder), yaml.safe_load(text)
    check_starts(c, net, description)
    net.write(start_values(net, random))
    for step in range(STEPS):
        batch = net.net.max_batch if step != 1 else max(net.net.max_batch // 2, 1)
        inputs = draw_inputs(net, description, batch, random)
        before = without_sums(net.read())
        net.write(before)
        net.call("train_step", inputs, batch)
        check_step(c, f"step {step}", net, description, before, inputs)
    before = without_sums(net.read())
    net.write(before)
    inputs = draw_inputs(net, description, net.net.max_batch, random)
    got = net.call("infer", inputs, net.net.max_batch)
    net.call("evaluate", inputs, net.net.max_batch)
    got.update({n: v for n, v in net.read().items() if n.startswith("metric.")})
    arguments = net, description, before, inputs
    c.check("inference", got, *reference_pass(*arguments), lambda: variations(reference_pass, *arguments))
    return c


def main(build, *what):
    torch.set_num_threads(1)
    all_compared = []
    for label, text in nets_of(build, what):
        with tempfile.TemporaryDirectory() as folder:
            all_compared.append(compare(label, build, text, folder))
    print(f"{len(all_compared)} nets, {sum(c.compared for c in all_compared)} tensors compared, "
          f"{sum(c.amplified for c in all_compared)} of them with amplified rounding, "
          f"{sum(c.failed for c in all_compared)} differ")
    return any(c.failed for c in all_compared)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), *sys.argv[2:]))
