"""Libraries of matrix products, without Python packages: requests and answers as in serve.py.

    python3 blas.py THREADS

OpenBLAS is that of numpy's wheel or the system's, oneDNN is the system's (Debian's
libopenblas0-pthread and libdnnl2); both are called through ctypes.
"""
import array
import ctypes
import ctypes.util
import glob
import importlib.util
import os
import random
import sys

import serve

PTR, INT, INT64, FLOAT = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_float


def numpys_openblas():
    """The library in numpy's wheel, whose functions have a prefix and 64-bit integers."""
    spec = importlib.util.find_spec("numpy")
    if spec is None or not spec.origin:
        return None
    beside = os.path.join(os.path.dirname(os.path.dirname(spec.origin)), "numpy.libs")
    return next(iter(sorted(glob.glob(os.path.join(beside, "libscipy_openblas64_*")))), None)


class OpenBLAS:
    def __init__(self, threads):
        path = numpys_openblas()
        pre, post, n = ("scipy_", "64_", INT64) if path else ("", "", INT)
        path = path or ctypes.util.find_library("openblas")
        if not path:
            raise OSError("found neither numpy nor libopenblas")
        lib = ctypes.CDLL(path)
        config = getattr(lib, f"{pre}openblas_get_config{post}")
        config.restype = ctypes.c_char_p
        self.version = config().decode()
        getattr(lib, f"{pre}openblas_set_num_threads{post}")(INT(threads))
        self.sgemm = getattr(lib, f"{pre}cblas_sgemm{post}")
        self.sgemm.restype = None
        self.sgemm.argtypes = [INT, INT, INT, n, n, n, FLOAT, PTR, n, PTR, n, FLOAT, PTR, n]

    def product(self, ta, tb, m, n, k, a, lda, b, ldb, c, ldc):
        return lambda: self.sgemm(101, 112 if ta else 111, 112 if tb else 111, m, n, k, 1, a, lda, b, ldb, 0, c, ldc)


class OneDNN:
    """Its threads are OpenMP's: OMP_NUM_THREADS."""

    def __init__(self, threads):
        path = ctypes.util.find_library("dnnl")
        if not path:
            raise OSError("found no libdnnl")
        lib = ctypes.CDLL(path)

        class Version(ctypes.Structure):
            _fields_ = [("numbers", INT * 3)]
        lib.dnnl_version.restype = ctypes.POINTER(Version)
        self.version = ".".join(map(str, lib.dnnl_version().contents.numbers))
        if os.environ.get("OMP_NUM_THREADS") != str(threads):
            raise OSError(f"OMP_NUM_THREADS is not {threads}")
        self.sgemm = lib.dnnl_sgemm
        self.sgemm.argtypes = [ctypes.c_char, ctypes.c_char, INT64, INT64, INT64, FLOAT, PTR, INT64, PTR, INT64, FLOAT, PTR, INT64]

    def product(self, ta, tb, m, n, k, a, lda, b, ldb, c, ldc):
        def run():
            if got := self.sgemm(b"T" if ta else b"N", b"T" if tb else b"N", m, n, k, 1, a, lda, b, ldb, 0, c, ldc):
                raise RuntimeError(f"dnnl_sgemm returned {got}")
        return run


def normal(n, block=1 << 16):
    """n random numbers; a block of them repeats."""
    some = array.array("f", (random.gauss(0, 1) for _ in range(min(n, block))))
    return (some * (n // len(some) + 1))[:n]


def build(libs, c):
    """The variants of a case: name -> function of one run."""
    if c["kind"] != "matmul" or c["dtype"] != "f32":
        raise ValueError(f"no {c['dtype']} {c['kind']}")
    m, n, k, ta, tb = c["m"], c["n"], c["k"], c.get("trans_a", False), c.get("trans_b", False)
    a, b, out = normal(m * k), normal(k * n), array.array("f", bytes(4 * m * n))
    at = lambda x: x.buffer_info()[0]
    runs = {}
    for name, lib in libs.items():
        run = lib.product(ta, tb, m, n, k, at(a), m if ta else k, at(b), k if tb else n, at(out), n)
        run.holds = a, b, out
        runs[name] = run
    return runs


def main():
    threads = int(sys.argv[1])
    libs, missing = {}, []
    for name, make in (("OpenBLAS", OpenBLAS), ("oneDNN", OneDNN)):
        try:
            libs[name] = make(threads)
        except (OSError, AttributeError) as e:
            missing.append(f"{name}: {e}")
    if not libs:
        serve.refuse("; ".join(missing))
    versions = {name: lib.version for name, lib in libs.items()}
    serve.serve(serve.Prepared(lambda c: build(libs, c)), {"device": "the processor", "versions": versions, "missing": missing})


main()
