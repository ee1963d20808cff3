"""Single contractions: the shapes of the prototype's tables with their gradients, as modules for Lamina, and the
measurement of all sides on each of them, every number of threads in the same rounds."""
import math
import os
import statistics
import subprocess
import sys

from sides import HERE, LAMINA, TOLERANCE, Failed, Process

OPENBLAS, ONEDNN, AVX2, FILTERED = "OpenBLAS", "oneDNN (packed)", "Lamina for AVX2", "Lamina, minimal filtering"
AVX2_CPU = "x86-64-v3"
PROBE = 0.01  # seconds

MATRIX_SHAPES = ((32, 128, 784), (128, 128, 784), (128, 784, 128), (128, 10, 128), (256, 256, 256), (256, 512, 784),
                 (128, 1024, 1024), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048))
IMAGE_SHAPES = ((32, 28, 1, 32), (64, 28, 1, 32), (32, 14, 32, 64), (64, 14, 32, 64), (8, 56, 64, 64))
CONVOLUTION = ("stride = [1, 1], low = [1, 1], high = [1, 1], lhs_dilation = [1, 1], rhs_dilation = [1, 1], "
               "feature_groups = [1], batch_groups = [1]")


class Case:
    """A contraction and what was measured of it: seconds by (side, threads), and the peaks of one core in the same
    rounds as flop/s. 'n' is the result's innermost size, which vectors run along; 'filtered': compiled as it is by
    default, a convolution takes fewer multiply-adds."""

    def __init__(self, name, batch, text, flops, n, filtered=False):
        self.name, self.batch, self.text, self.flops, self.n, self.filtered = name, batch, text, flops, n, filtered
        self.times, self.peak, self.avx2_peak = {}, [], []

    def shown(self):
        return self.name.removesuffix(" 0 0 0").replace("_", " ")

    def ratio(self, side, threads):
        """How many times Lamina's time."""
        pairs = zip(self.times[side, threads], self.times[LAMINA, threads])
        return statistics.median(theirs / ours for theirs, ours in pairs)

    def share(self, side, threads):
        """Of the peak of that many cores."""
        peaks = self.avx2_peak if side == AVX2 else self.peak
        return statistics.median(self.flops / t / p for t, p in zip(self.times[side, threads], peaks)) / threads

    def speedup(self, threads):
        """Over one thread in the same rounds, or None."""
        one = self.times.get((LAMINA, 1))
        return one and statistics.median(x / y for x, y in zip(one, self.times[LAMINA, threads]))

    def seconds(self, side, threads):
        return statistics.median(self.times[side, threads])


def matrix_case(kind, m, n, k):
    if kind == "TN":
        text = f"""module @k {{max_batch = [{k}]}}
func @infer(%x : f32[B, {m}], %y : f32[B, {n}]) -> (z : f32[{m}, {n}]) {{
  %1 = dot_general %x, %y {{lhs_contract = [0], rhs_contract = [0]}} : f32[{m}, {n}]
"""
    else:
        shape, side = (f"{k}, {n}", 0) if kind == "NN" else (f"{n}, {k}", 1)
        text = f"""module @k {{max_batch = [{m}]}}
param @w : f32[{shape}]
func @infer(%x : f32[B, {k}]) -> (z : f32[B, {n}]) {{
  %w = param @w : f32[{shape}]
  %1 = dot_general %x, %w {{lhs_contract = [1], rhs_contract = [{side}]}} : f32[B, {n}]
"""
    return Case(f"{kind} {m} {n} {k}", k if kind == "TN" else m, text + "  return %1\n}\n", 2 * m * n * k, n)


def image_case(kind, batch, side, i, o):
    x, y, w = f"f32[B, {side}, {side}, {i}]", f"f32[B, {side}, {side}, {o}]", f"f32[3, 3, {i}, {o}]"
    head = f"module @k {{max_batch = [{batch}]}}\n"
    if kind == "weight":
        order = "lhs = [3, 0, 1, 2], rhs = [0, 3, 1, 2], out = [2, 3, 0, 1]"
        text = head + f"""func @infer(%x : {x}, %y : {y}) -> (z : {w}) {{
  %1 = convolution %x, %y {{{order}, {CONVOLUTION}, leaf = [8]}} : {w}
"""
    else:
        head += f"param @w : {w}\n"
        flip = f"  %v = reverse %w {{dims = [0, 1]}} : {w}\n" if kind == "input" else ""
        given, made = (y, x) if flip else (x, y)
        rhs, kernel = ("[3, 2, 0, 1]", "%v") if flip else ("[2, 3, 0, 1]", "%w")
        text = head + f"""func @infer(%x : {given}) -> (z : {made}) {{
  %w = param @w : {w}
{flip}  %1 = convolution %x, {kernel} {{lhs = [0, 3, 1, 2], rhs = {rhs}, out = [0, 3, 1, 2], {CONVOLUTION}}} : {made}
"""
    return Case(f"{kind}_{batch}x{side}x{i}x{o} 0 0 0", batch, text + "  return %1\n}\n",
                2 * 9 * batch * side * side * i * o, i if kind == "input" else o, filtered=i > 1)


def all_cases():
    for shape in MATRIX_SHAPES:
        for kind in ("NN", "TN", "NT"):
            yield matrix_case(kind, *shape)
    for shape in IMAGE_SHAPES:
        for kind in ("forward", "input", "weight"):
            yield image_case(kind, *shape)


def compile_case(a, number, case, *options):
    source, library = (os.path.join(a.build, f"contraction{number}{''.join(options)}.{e}") for e in ("ir", "so"))
    with open(source, "w") as f:
        f.write(case.text)
    subprocess.run([a.lamina, "compile", source, "-o", library, *options], check=True)
    return library


def open_gemms(a):
    """By (Lamina's name, threads); the one for AVX2 only where the processor has it."""
    keys = [(name, t) for name in (LAMINA, FILTERED) for t in a.threads] + [(AVX2, 1)]
    gemms = {(name, t): Process([os.path.join(a.build, "gemm"), str(t)], t, a.log) for name, t in keys}
    for side in gemms.values():
        side.line("note")
    if math.isnan(gemms[AVX2, 1].seconds("peak_avx2", PROBE)):
        gemms.pop((AVX2, 1)).close()
    return gemms


def open_peers(a):
    """By (name, threads)."""
    commands = {}
    if a.onednn:
        commands[ONEDNN] = lambda _: ([a.onednn], {})
    for name, peer in a.peers.items():
        if peer and peer[1:3] == ("peer_torch.py", []):
            commands[name] = lambda t, p=peer: ([p[0], os.path.join(HERE, p[1]), "contractions", str(t)], p[3])
    peers = {}
    for name, command in commands.items():
        for threads in a.threads:
            words, env = command(threads)
            peers[name, threads] = Process(words, threads, a.log, **env)
            peers[name, threads].line("note")
    return peers


def agree(case, key, ours, theirs):
    if abs(ours - theirs) <= TOLERANCE * abs(ours):
        return True
    if not math.isnan(theirs):
        print(f"{case.name}: {key[0]} has {theirs}, Lamina {ours}", file=sys.stderr)
    return False


def open_case(a, number, case, gemms, peers):
    """{(side, threads): seconds(budget)} of those that compute the same."""
    runs, ours = {}, None
    libraries = {LAMINA: compile_case(a, number, case, "--convolution=direct")}
    if (AVX2, 1) in gemms:
        libraries[AVX2] = compile_case(a, number, case, "--convolution=direct", "--cpu=" + AVX2_CPU)
    if case.filtered:
        libraries[FILTERED] = compile_case(a, number, case)
    for (name, threads), gemm in gemms.items():
        if name not in libraries:
            continue
        sums = gemm.ask(f"case {libraries[name]} {case.batch} {case.name}").split()
        mine, blas = map(float, sums)
        ours = mine if ours is None else ours
        if not agree(case, (name, threads), ours, mine):
            raise Failed(f"{case.name}: two of Lamina's differ")
        runs[name, threads] = lambda s, gemm=gemm: gemm.seconds("lamina", s)
        if name == LAMINA and agree(case, (OPENBLAS, threads), ours, blas):
            runs[OPENBLAS, threads] = lambda s, gemm=gemm: gemm.seconds("openblas", s)
    for key, side in peers.items():
        if agree(case, key, ours, float(side.ask("case " + case.name))):
            runs[key] = lambda s, side=side: side.seconds("run", s)
    return runs


def measure_case(a, case, runs, gemms):
    for run in runs.values():
        run(a.seconds / 4)
    case.times = {key: [] for key in runs}
    first = next(iter(gemms.values()))
    for _ in range(max(3, a.rounds // 3)):
        case.peak.append(first.seconds("peak", a.seconds / 4))
        case.avx2_peak.append(first.seconds("peak_avx2", a.seconds / 4))
        for key, run in runs.items():
            case.times[key].append(run(a.seconds / 4))


def measure_contractions(a, progress):
    gemms, peers = open_gemms(a), open_peers(a)
    cases = list(all_cases())
    for number, case in enumerate(cases):
        progress("contraction " + case.shown())
        measure_case(a, case, open_case(a, number, case, gemms, peers), gemms)
    for side in (*gemms.values(), *peers.values()):
        side.close()
    return cases
