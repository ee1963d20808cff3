"""A network that `lamina compile` made, called through its ABI alone.

The structs are those of runtime/lamina_abi.def, field by field, so there is no second list of them here. Tensors are
torch's, in Lamina's plain row-major layout and the dtype that the descriptor states.
"""
import ctypes
import re
from pathlib import Path
import torch

ABI = Path(__file__).parents[2] / "runtime" / "lamina_abi.def"
ABI_MAJOR, MAX_RANK = 1, 8
DTYPES = {1: torch.float32, 2: torch.float64, 3: torch.int32, 4: torch.int64, 6: torch.uint8, 7: torch.uint8}
SEGMENTS = {"params": "params_bytes", "state": "state_bytes", "gradients": "gradient_bytes", "saved": "saved_bytes"}

CONSTANT, SEED = 1, 5  # how a tensor starts
INITIALIZERS = {1: "constant", 2: "uniform", 3: "normal", 4: "truncated_normal", 6: "identity"}


def read_structs():
    class Rate(ctypes.Structure):
        _fields_ = [("kind", ctypes.c_int32), ("reserved", ctypes.c_int32)] + [(n, ctypes.c_double) for n in "abcd"]

    kinds = {"U64": ctypes.c_uint64, "I64": ctypes.c_int64, "F64": ctypes.c_double, "U32": ctypes.c_uint32,
             "I32": ctypes.c_int32, "F32": ctypes.c_float, "POINTER": ctypes.c_void_p,
             "DIMS": ctypes.c_int64 * MAX_RANK, "RATE": Rate}
    fields = {}
    for struct, kind, name in re.findall(r"(?m)^FIELD\((\w+), (\w+), (\w+)\)", ABI.read_text()):
        fields.setdefault(struct, []).append((name, kinds[kind]))
    return {name: type(name, (ctypes.Structure,), {"_fields_": f}) for name, f in fields.items()}


STRUCTS = read_structs()


class Tensor:
    """A row of the descriptor."""

    def __init__(self, row):
        self.name = ctypes.string_at(row.name).decode()
        self.dtype, self.bytes = DTYPES[row.dtype], row.bytes
        self.shape = list(row.dim[:row.rank])
        self.batch_dim, self.init, self.a, self.b = row.batch_dim, row.init, row.init_a, row.init_b

    def room(self, batch=1):
        shape = [d * batch if i == self.batch_dim else d for i, d in enumerate(self.shape)]
        return torch.empty(shape, dtype=self.dtype)


class Segment:
    """Bytes at an address aligned to 64, NaN in every float until they are written."""

    def __init__(self, size):
        self.memory = ctypes.create_string_buffer(b"\xff" * (size + 64), size + 64)
        self.address = (ctypes.addressof(self.memory) + 63) // 64 * 64


def pointers(tensors):
    return (ctypes.c_void_p * max(len(tensors), 1))(*[t.data_ptr() for t in tensors])


class CompiledNet:
    def __init__(self, path, name):
        query = getattr(ctypes.CDLL(str(path)), name + "_query")
        query.restype = ctypes.c_void_p
        self.net = STRUCTS["lamina_net"].from_address(query(ABI_MAJOR))
        self.tensors = self.rows("tensors", self.net.tensor_count)
        self.inputs = self.rows("inputs", self.net.input_count)
        self.outputs = self.rows("outputs", self.net.output_count)
        self.segments = {name: Segment(getattr(self.net, size)) for name, size in SEGMENTS.items()}
        self.segments["workspace"] = Segment(self.net.workspace_bytes + self.net.workspace_worker_bytes)

    def rows(self, field, count):
        return [Tensor(r) for r in (STRUCTS["lamina_tensor"] * count).from_address(getattr(self.net, field) or 1)]

    def weights(self, function, values):
        struct = STRUCTS["lamina_weights"]
        w = struct(ctypes.sizeof(struct), self.segments["params"].address, self.segments["state"].address,
                   ctypes.cast(pointers(values), ctypes.c_void_p))
        ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(struct))(getattr(self.net, function))(w)

    def write(self, values):
        """All tensors, parameters and states, by name."""
        self.weights("import_weights", [values[t.name].to(t.dtype).contiguous() for t in self.tensors])

    def read(self):
        values = [t.room() for t in self.tensors]
        self.weights("export_weights", values)
        return {t.name: v for t, v in zip(self.tensors, values)}

    def call(self, function, inputs, batch):
        """infer, evaluate or train_step on a batch of inputs by name; infer's outputs by name."""
        struct = STRUCTS["lamina_call"]
        given = [inputs[t.name].to(t.dtype).contiguous() for t in self.inputs]
        results = [t.room(batch) for t in self.outputs]
        given_at, results_at = pointers(given), pointers(results)
        call = struct(struct_size=ctypes.sizeof(struct), batch=batch, workers=1, loss_scale=1 / batch,
                      learning_rate=self.net.rate.a, inputs=ctypes.addressof(given_at),
                      outputs=ctypes.addressof(results_at), **{k: s.address for k, s in self.segments.items()})
        code = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(struct))(getattr(self.net, function))(call)
        if code:
            raise RuntimeError(f"{function} returned {code}")
        return {t.name: r for t, r in zip(self.outputs, results)}
