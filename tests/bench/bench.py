#!/usr/bin/env python3
"""Compare Lamina with its peers in one run and write Markdown; run.sh builds what this needs and calls it.

Each configuration starts every side as a process of its own, checks that all compute the same ten losses, and then
measures them in turn, round after round. A cell is the median; its ratio is the median of the paired ratios to Lamina.
"""
import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOLERANCE = 1e-4  # relative: what reordered sums make of ten steps, with room
CHECK_RATES = {"large": 1e-4}  # else 1e-3, where the large net overshoots: there two peers differ by as much too
LAMINA, PAUSE = "Lamina", 0.05  # seconds until the threads of the side before sleep

MATRIX_SHAPES = ((32, 128, 784), (128, 128, 784), (128, 784, 128), (128, 10, 128), (256, 256, 256), (256, 512, 784),
                 (128, 1024, 1024), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048))
IMAGE_SHAPES = ((32, 28, 1, 32), (64, 28, 1, 32), (32, 14, 32, 64), (64, 14, 32, 64), (8, 56, 64, 64))


def environment(threads, **more):
    """DESIGN's fairness: kernels by the processor, no memory given back, threads bound, no more of them than asked."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
               OMP_PROC_BIND="true", MALLOC_TRIM_THRESHOLD_="4294967296", MALLOC_MMAP_THRESHOLD_="33554432",
               MALLOC_TOP_PAD_="67108864", PYTHONDONTWRITEBYTECODE="1", **more)
    return env


class Failed(Exception):
    pass


class Process:
    """A side that runs for as long as a configuration is measured. See peer.py for what it says."""

    def __init__(self, command, threads, **env):
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=LOG, text=True,
                                        env=environment(threads, **env),
                                        preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def line(self, expected=None):
        words = self.process.stdout.readline().split(None, 1 if expected else 0)
        if not words or expected and words[0] != expected:
            raise Failed(f"expected '{expected or 'an answer'}', found {words}")
        return words[-1].strip()

    def open(self):
        peak = int(self.line("first"))
        self.facts = {"first": time.perf_counter() - self.begun, "peak": peak}
        self.losses = [float(v) for v in self.line("losses").split()]
        self.facts["note"] = self.line("note")

    def ask(self, text):
        time.sleep(PAUSE)
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.line()

    def seconds(self, what, seconds):
        return float(self.ask(f"{what} {seconds}"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Prototype:
    """The yardstick of DESIGN section 9: a program that measures itself once a round."""
    tolerance = 1e-3  # it prints five digits, and its Adam has another epsilon

    def __init__(self, folder, net, batch, threads):
        program, word = ("step2", "big") if net == "large" else ("step", net)
        self.folder, self.command = folder, [f"build/{program}", word, str(batch), str(threads)]
        self.facts = {"note": ""}

    def run(self):
        out = subprocess.run(self.command, cwd=self.folder, stdout=subprocess.PIPE, stderr=LOG, text=True,
                             env=shims(self.folder)).stdout
        if "median" not in out:
            raise Failed("the prototype does not run here")
        return out

    def open(self):
        out = self.run()
        losses = next(line.split() for line in out.splitlines() if line.startswith("# loss"))
        self.losses = [float(v) for v in losses[2:]] if self.command[0] == "build/step" else None

    def seconds(self, what, _):
        if what != "train":
            return math.nan
        time.sleep(PAUSE)
        return float(self.run().split("median")[1].split()[0]) / 1e3

    def close(self):
        pass


def shims(folder):
    """The prototype calls a linker by a name that may not be installed."""
    return {**environment(1), "PATH": os.path.join(folder, "shims") + ":" + os.environ["PATH"]}


def prototype(build):
    """A built copy of ../shared/prototype, or None."""
    source = os.path.join(HERE, "..", "..", "..", "shared", "prototype")
    folder = os.path.join(build, "prototype")
    linker = shutil.which("ld.lld-22") or shutil.which("ld.lld") or shutil.which("ld")
    if not os.path.exists(os.path.join(source, "run.sh")) or not linker:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "shims"))
    for name in os.listdir(source):
        if os.path.isfile(os.path.join(source, name)):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
    os.symlink(linker, os.path.join(folder, "shims", "ld.lld-22"))
    done = subprocess.run(["sh", "./run.sh"], cwd=folder, env=shims(folder), stdout=LOG, stderr=LOG)
    return folder if done.returncode == 0 else None


def python_with(interpreter, module):
    command = [interpreter, "-c", f"import {module}, numpy"]
    return os.path.exists(interpreter) and subprocess.run(command, stdout=LOG, stderr=LOG).returncode == 0


def find_peers(build):
    """Name: (interpreter, script, further arguments, environment), or None for an absent one."""
    blas = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
    env = {"LD_LIBRARY_PATH": blas} if os.path.isdir(blas) else {}
    venv = lambda name: os.path.join(build, "venv-" + name, "bin", "python")
    inductor = {"TORCHINDUCTOR_CACHE_DIR": os.path.join(build, "inductor")}
    shutil.rmtree(inductor["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)
    torch, jax = python_with(venv("torch"), "torch"), python_with(venv("jax"), "jax")
    return {
        "PyTorch (Debian)": python_with("/usr/bin/python3", "torch") and
        ("/usr/bin/python3", "peer_torch.py", [], env) or None,
        "PyTorch (PyPI)": torch and (venv("torch"), "peer_torch.py", [], {}) or None,
        "torch.compile (PyPI)": torch and (venv("torch"), "peer_torch.py", ["--compile"], inductor) or None,
        "JAX": jax and (venv("jax"), "peer_jax.py", [], {}) or None,
    }


# ---- nets ----

def compile_net(a, net, batch):
    """The library and the median time to make it."""
    library = os.path.join(a.build, f"{net}_{batch}.so")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([a.lamina, "compile", os.path.join(HERE, "nets", net + ".yaml"), "-o", library,
                        f"--max-batch={batch}"], check=True)
        times.append(time.perf_counter() - start)
    return library, statistics.median(times)


def sides_of(a, net, batch, threads, library):
    words = [str(batch), str(threads), str(CHECK_RATES.get(net, 1e-3))]
    out = {LAMINA: lambda: Process([os.path.join(a.build, "step"), library, *words], threads)}
    if a.prototype and batch > 1:
        out["prototype"] = lambda: Prototype(a.prototype, net, batch, threads)
    for name, peer in a.peers.items():
        if peer:
            interpreter, script, arguments, env = peer
            command = [interpreter, os.path.join(HERE, script), net, *words, *arguments]
            out[name] = lambda command=command, env=env: Process(command, threads, **env)
    return out


def same_losses(ours, theirs, tolerance):
    """Relative, but a loss that has fallen to nothing may differ by nothing."""
    return theirs is None or all(abs(x - y) <= tolerance * (abs(x) + 0.01 * ours[0]) for x, y in zip(ours, theirs))


def open_sides(makers, dump):
    """Those that start and agree with Lamina; the others say why in the log."""
    sides = {}
    for name, make in makers.items():
        try:
            side = make()
            side.open()
            if name == LAMINA and dump:
                side.ask("dump " + dump)
            if not same_losses(sides.get(LAMINA, side).losses, side.losses,
                               getattr(side, "tolerance", TOLERANCE)):
                raise Failed(f"losses differ: {side.losses} and {sides[LAMINA].losses}")
            sides[name] = side
        except Failed as e:
            print(f"{name}: {e}", file=sys.stderr)
            if name == LAMINA:
                raise
    return sides


def measure(a, net, batch, threads):
    """{side: {"train": [seconds], "infer": [seconds], "first": ..., "peak": ..., "note": ...}}"""
    library, compiled = compile_net(a, net, batch)
    dump = os.path.join(a.prototype, "build", f"init_{net}_{batch}.bin") if a.prototype else None
    sides = open_sides(sides_of(a, net, batch, threads, library), dump)
    out = {name: {"train": [], "infer": [], **side.facts} for name, side in sides.items()}
    out[LAMINA].update(compile=compiled, library=os.path.getsize(library))
    for what in ("train", "infer"):
        for side in sides.values():
            side.seconds(what, a.seconds)  # warm up
        for _ in range(a.rounds):
            for name, side in sides.items():
                out[name][what].append(side.seconds(what, a.seconds))
    for side in sides.values():
        side.close()
    return out


# ---- contractions ----

CONVOLUTION = ("stride = [1, 1], low = [1, 1], high = [1, 1], lhs_dilation = [1, 1], rhs_dilation = [1, 1], "
               "feature_groups = [1], batch_groups = [1]")


def matrix_case(kind, m, n, k):
    """A name, the library's batch, the module's text, flops."""
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
    return f"{kind} {m} {n} {k}", k if kind == "TN" else m, text + "  return %1\n}\n", 2 * m * n * k


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
    name = f"{kind}_{batch}x{side}x{i}x{o}"
    return f"{name} 0 0 0", batch, text + "  return %1\n}\n", 2 * 9 * batch * side * side * i * o


def contraction_cases():
    for shape in MATRIX_SHAPES:
        for kind in ("NN", "TN", "NT"):
            yield matrix_case(kind, *shape)
    for shape in IMAGE_SHAPES:
        for kind in ("forward", "input", "weight"):
            yield image_case(kind, *shape)


def compile_case(a, number, text):
    source, library = (os.path.join(a.build, f"contraction{number}.{e}") for e in ("ir", "so"))
    with open(source, "w") as f:
        f.write(text)
    subprocess.run([a.lamina, "compile", source, "-o", library], check=True)
    return library


def close_to(x, y):
    return abs(x - y) <= TOLERANCE * abs(x)


def measure_case(a, gemm, torches, name, batch, library):
    """{side: [seconds]} of those that compute the same."""
    ours, blas = map(float, gemm.ask(f"case {library} {batch} {name}").split())
    runs = {LAMINA: lambda s: gemm.seconds("lamina", s)}
    if close_to(ours, blas):
        runs["OpenBLAS"] = lambda s: gemm.seconds("openblas", s)
    elif not math.isnan(blas):
        print(f"{name}: OpenBLAS has {blas}, Lamina {ours}", file=sys.stderr)
    for peer, side in torches.items():
        theirs = float(side.ask("case " + name))
        if close_to(ours, theirs):
            runs[peer] = lambda s, side=side: side.seconds("run", s)
        else:
            print(f"{name}: {peer} has {theirs}, Lamina {ours}", file=sys.stderr)
    out = {side: [] for side in runs}
    out["peak"] = []
    for run in runs.values():
        run(a.seconds / 4)
    for _ in range(max(3, a.rounds // 3)):
        out["peak"].append(gemm.seconds("peak", 0.01))
        for side, run in runs.items():
            out[side].append(run(a.seconds / 4))
    return out


def measure_contractions(a, threads):
    """[(name, flops, {side: [seconds]})], the peak as flop/s."""
    gemm = Process([os.path.join(a.build, "gemm"), str(threads)], threads)
    gemm.line("note")
    torches = {}
    for name, peer in a.peers.items():
        if peer and peer[1:3] == ("peer_torch.py", []):
            torches[name] = Process([peer[0], os.path.join(HERE, peer[1]), "contractions", str(threads)], threads,
                                    **peer[3])
            torches[name].line("note")
    rows = []
    for number, (name, batch, text, flops) in enumerate(contraction_cases()):
        progress(f"contraction {name}, {threads} thread(s)")
        rows.append((name, flops, measure_case(a, gemm, torches, name, batch, compile_case(a, number, text))))
    for side in (gemm, *torches.values()):
        side.close()
    return rows


# ---- Markdown ----

def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def paired_ratio(theirs, ours):
    return statistics.median(x / y for x, y in zip(theirs, ours))


def bold_if(lost, text):
    return f"**{text}**" if lost else text


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |\n"


def header(*cells):
    return row(*cells) + "|" + "---|" * len(cells) + "\n"


def times_table(results, what, names):
    """Milliseconds, and how many times Lamina's: bold where Lamina loses. Then the mean over the thread counts."""
    out = header("net", "batch", "threads", LAMINA, *names)
    ratios = {}
    for (net, batch, threads), sides in results.items():
        ours = sides[LAMINA][what]
        cells = []
        for name in names:
            theirs = sides.get(name, {}).get(what)
            if not theirs or math.isnan(theirs[0]):
                cells.append("-")
                continue
            ratio = paired_ratio(theirs, ours)
            ratios.setdefault((net, batch), {}).setdefault(name, []).append(ratio)
            cells.append(bold_if(ratio < 1, f"{statistics.median(theirs) * 1e3:.4g} ({ratio:.2f}x)"))
        out += row(net, batch, threads, f"{statistics.median(ours) * 1e3:.4g}", *cells)
    for (net, batch), sides in ratios.items():
        cells = [geometric_mean(sides[n]) if n in sides else None for n in names]
        out += row(net, batch, "mean", "", *["-" if c is None else bold_if(c < 1, f"{c:.2f}x") for c in cells])
    return out


def megabytes(text):
    return f"{int(text) / 1e6:.2f}"


def note_value(note, key):
    return next((w.split("=")[1].rstrip(",") for w in note.split() if w.startswith(key + "=")), None)


def facts_tables(results, names):
    out = "\n## Start to the end of the first training step, s (peak memory then, MB)\n"
    out += header("net", "batch", "threads", LAMINA, *names)
    for key, sides in results.items():
        found = [sides.get(n, {}) for n in (LAMINA, *names)]
        out += row(*key, *[f"{f['first']:.3f} ({f['peak'] / 1e6:.0f})" if "first" in f else "-" for f in found])
    out += "\n## What Lamina compiles to\n"
    out += header("net", "batch", "compile s", "library KB", "parameters MB", "state MB", "saved MB", "workspace MB",
                  "MB a worker")
    for (net, batch, threads), sides in results.items():
        if threads == min(t for _, _, t in results):
            f = sides[LAMINA]
            keys = ("params", "state", "saved", "workspace", "worker")
            sizes = [megabytes(note_value(f["note"], k)) for k in keys]
            out += row(net, batch, f"{f['compile']:.2f}", f"{f['library'] / 1e3:.0f}", *sizes)
    return out


def contractions_table(rows, threads):
    names = sorted({side for _, _, s in rows for side in s} - {LAMINA, "peak"})
    peak = statistics.median(p for _, _, s in rows for p in s["peak"])
    out = f"\n## Contractions, {threads} thread(s): GFLOP/s; one core's peak is {peak / 1e9:.0f}\n"
    out += header("M N K, or batch x side x in x out", LAMINA, "share of peak", *names)
    shares, ratios = [], {}
    for name, flops, sides in rows:
        ours = statistics.median(sides[LAMINA])
        shares.append(statistics.median(flops / t / p for t, p in zip(sides[LAMINA], sides["peak"])) / threads)
        cells = []
        for n in names:
            if n not in sides:
                cells.append("-")
                continue
            ratio = paired_ratio(sides[n], sides[LAMINA])
            ratios.setdefault(n, []).append(ratio)
            cells.append(bold_if(ratio < 1, f"{flops / statistics.median(sides[n]) / 1e9:.4g} ({ratio:.2f}x)"))
        shown = name.removesuffix(" 0 0 0").replace("_", " ")
        out += row(shown, f"{flops / ours / 1e9:.4g}", f"{shares[-1]:.2f}", *cells)
    return out + row("geometric mean", "", f"{geometric_mean(shares):.2f}",
                     *[bold_if(geometric_mean(ratios[n]) < 1, f"{geometric_mean(ratios[n]):.2f}x") for n in names])


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


def report(a, results, contractions):
    names = (["prototype"] if a.prototype else []) + [n for n, p in a.peers.items() if p]
    absent = ([] if a.prototype else ["prototype"]) + [n for n, p in a.peers.items() if not p]
    out = f"# Bench\n{processor()}, {os.cpu_count()} processors; {a.rounds} rounds of {a.seconds} s, sides in turn. "
    out += "Medians; in brackets how many times Lamina's time, bold where Lamina is slower.\n"
    out += f"Absent or not asked for: {', '.join(absent) or 'none'}. "
    out += "`-`: not measured, or other losses than Lamina's (see the messages).\n"
    if results:
        out += "\n## Training step, ms\n" + times_table(results, "train", names)
        out += "\n## Inference, ms\n" + times_table(results, "infer", [n for n in names if n != "prototype"])
        out += facts_tables(results, [n for n in names if n != "prototype"])
        out += "\n## Peers\n"
        for (net, batch, threads), sides in results.items():
            for name, f in sides.items():
                if name not in (LAMINA, "prototype"):
                    out += f"- {net}, batch {batch}, {threads} thread(s), {name}: {f['note']}\n"
    for threads, rows in contractions.items():
        out += contractions_table(rows, threads)
    return out


def progress(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def numbers(text):
    return [int(v) for v in text.split(",")]


def main():
    global LOG
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--lamina", required=True)
    p.add_argument("--build", required=True, help="directory with step and gemm, for everything made here")
    p.add_argument("--nets", default="mlp,cnn,large", help="none: only contractions")
    p.add_argument("--batches", type=numbers, default=[1, 32, 128])
    p.add_argument("--threads", type=numbers, default=[1, 2])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--seconds", type=float, default=0.2, help="of one measurement")
    p.add_argument("--peers", default="", help="only those whose names contain one of these: prototype,Debian,JAX")
    p.add_argument("--no-contractions", action="store_true")
    p.add_argument("--out", help="file for the Markdown (default: stdout)")
    a = p.parse_args()
    LOG = open(os.path.join(a.build, "log.txt"), "w")
    progress("looking for peers; what they say goes to " + LOG.name)
    wanted = lambda name: any(word in name for word in a.peers.split(","))
    a.prototype = prototype(a.build) if wanted("prototype") else None
    a.peers = {name: wanted(name) and peer or None for name, peer in find_peers(a.build).items()}
    results, contractions = {}, {}
    for net in a.nets.split(",") if a.nets != "none" else []:
        for batch in a.batches:
            for threads in a.threads:
                progress(f"{net}, batch {batch}, {threads} thread(s)")
                results[net, batch, threads] = measure(a, net, batch, threads)
    for threads in a.threads if not a.no_contractions else []:
        contractions[threads] = measure_contractions(a, threads)
    text = report(a, results, contractions)
    if a.out:
        with open(a.out, "w") as f:
            f.write(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
