"""PyTorch's side: requests and answers as in serve.py.

    python3 pytorch.py cuda | cpu | cpu:THREADS

On a GPU operations are timed by the device's events and steps by the wall clock, on
the processor everything by the wall clock. Every case has one or more variants,
PyTorch as its users would write it: eager, torch.compile, and for losses over a large
vocabulary a chunked one.
"""
import contextlib
import sys
import time

import serve

try:
    import torch
except ImportError as e:
    serve.refuse(f"no PyTorch: {e}")
import torch.nn.functional as F

CHUNK = 1024  # rows of logits at a time in the chunked loss
TYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


class ChunkedLoss(torch.autograd.Function):
    """Cross-entropy of h @ head.T in chunks of rows, gradients made in the forward pass."""

    @staticmethod
    def forward(ctx, h, head, targets):
        dh = torch.empty_like(h)
        dhead = torch.zeros(head.shape, dtype=torch.float32, device=head.device) if head.requires_grad else None
        total = torch.zeros((), dtype=torch.float32, device=h.device)
        for at in range(0, h.shape[0], CHUNK):
            part, want = h[at:at + CHUNK], targets[at:at + CHUNK]
            logits = (part @ head.T).float()
            total += F.cross_entropy(logits, want, reduction="sum")
            dz = torch.softmax(logits, -1)
            dz[torch.arange(len(want), device=dz.device), want] -= 1
            dz = (dz / h.shape[0]).to(h.dtype)
            dh[at:at + CHUNK] = dz @ head
            if dhead is not None:
                dhead += dz.T @ part
        ctx.save_for_backward(dh, dhead)
        return total / h.shape[0]

    @staticmethod
    def backward(ctx, up):
        dh, dhead = ctx.saved_tensors
        return dh * up, None if dhead is None else (dhead * up).to(dh.dtype), None


def plain_loss(h, head, targets):
    return F.cross_entropy((h @ head.T).float(), targets)


class Block(torch.nn.Module):
    def __init__(self, m):
        super().__init__()
        c, f, self.d = m["width"], m["ffn"], m["head"]
        self.heads, self.kv = m["heads"], m["kv"]
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.q, self.k = linear(c, self.heads * self.d), linear(c, self.kv * self.d)
        self.v, self.o = linear(c, self.kv * self.d), linear(self.heads * self.d, c)
        self.gate, self.up, self.down = linear(c, f), linear(c, f), linear(f, c)
        self.norm1, self.norm2 = torch.nn.RMSNorm(c, eps=1e-5), torch.nn.RMSNorm(c, eps=1e-5)

    def forward(self, x, cos, sin):
        b, t, c = x.shape
        y = self.norm1(x)
        q, k, v = (w(y).view(b, t, -1, self.d).transpose(1, 2) for w in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        a = attend(q, k, v)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, -1))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def attend(q, k, v):
    """Causal attention. On the processor a forward and a backward pass take less time on
    repeated keys and values than with enable_gqa (PyTorch 2.15)."""
    if q.device.type == "cuda":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    n = q.shape[1] // k.shape[1]
    return F.scaled_dot_product_attention(q, k.repeat_interleave(n, 1), v.repeat_interleave(n, 1), is_causal=True)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Decoder(torch.nn.Module):
    def __init__(self, m, t):
        super().__init__()
        self.embed = torch.nn.Embedding(m["vocab"], m["width"])
        self.blocks = torch.nn.ModuleList(Block(m) for _ in range(m["layers"]))
        self.norm = torch.nn.RMSNorm(m["width"], eps=1e-5)
        self.head = self.embed.weight if m.get("tied") else torch.nn.Parameter(torch.empty(m["vocab"], m["width"]))
        freqs = 500000.0 ** (-torch.arange(0, m["head"], 2) / m["head"])
        angles = torch.arange(t)[:, None] * freqs
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for p in self.parameters():
            torch.nn.init.normal_(p, std=0.02) if p.dim() > 1 else torch.nn.init.ones_(p)

    def forward(self, ids, targets, loss):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return loss(self.norm(x).flatten(0, 1), self.head, targets.flatten())


def build(c, dev):
    """The variants of a case: name -> function of one run."""
    dt = TYPES[c["dtype"]]
    rand = lambda *shape: torch.randn(*shape, device=dev, dtype=dt)
    kind = c["kind"]
    if kind == "matmul":
        a = rand(c["k"], c["m"]).T if c.get("trans_a") else rand(c["m"], c["k"])
        b = rand(c["n"], c["k"]).T if c.get("trans_b") else rand(c["k"], c["n"])
        out = torch.empty(c["m"], c["n"], device=dev, dtype=dt)
        ways = {"PyTorch": lambda: torch.mm(a, b, out=out)}
        if dev.type == "cpu" and c.get("trans_b") and not c.get("trans_a"):  # a linear layer, by the oneDNN inside
            ways["oneDNN in PyTorch"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], "")
        return ways
    if kind in ("attention", "attention_bwd"):
        shape = lambda heads: (c["batch"], heads, c["t"], c["d"])
        grad = kind == "attention_bwd"
        q, k, v = (rand(*shape(n)).requires_grad_(grad) for n in (c["h"], c["kv"], c["kv"]))
        ways = {"SDPA": lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)}
        if dev.type == "cpu":
            ways["SDPA, repeated heads"] = lambda: attend(q, k, v)
        if not grad:
            return ways
        up = rand(*shape(c["h"]))
        backward = lambda o: lambda: torch.autograd.grad(o, (q, k, v), up, retain_graph=True)
        return {name: backward(forward()) for name, forward in ways.items()}
    if kind == "linear_ce":
        h, head = rand(c["n"], c["k"]).requires_grad_(), rand(c["vocab"], c["k"]).requires_grad_(bool(c.get("head")))
        targets = torch.randint(c["vocab"], (c["n"],), device=dev)
        leaves = [x for x in (h, head) if x.requires_grad]
        run = lambda loss: lambda: torch.autograd.grad(loss(h, head, targets), leaves)
        return {"eager": run(plain_loss), "compile": run(torch.compile(plain_loss)), "chunked": run(ChunkedLoss.apply)}
    if kind == "adamw":
        p = torch.nn.Parameter(torch.randn(c["n"], device=dev))
        p.grad = torch.randn(c["n"], device=dev)
        return {"fused": torch.optim.AdamW([p], lr=1e-5, weight_decay=0.1, fused=True).step}
    if kind == "step":
        return steps(c, dev, dt)
    raise ValueError(f"no kind {kind}")


def steps(c, dev, dt):
    """Weights, gradients and moments in the case's type: in bf16 less work than Graft's f32 masters."""
    with torch.device(dev):
        m = Decoder(c["model"], c["t"]).to(dt)
    if not c.get("full"):
        m.requires_grad_(False)
        m.blocks.requires_grad_(True)
    trained = [p for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-7, fused=True)
    ids = torch.randint(c["model"]["vocab"], (c["batch"], c["t"] + 1), device=dev)
    compiled = torch.compile(m)
    if dev.type == "cuda":
        clip = lambda: torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
    else:
        clip = lambda: torch.nn.utils.clip_grad_norm_(trained, 1.0)

    def step(model, loss):
        def run():
            model(ids[:, :-1], ids[:, 1:], loss).backward()
            clip()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return run
    return {"eager": step(m, plain_loss), "compile": step(compiled, plain_loss), "chunked loss": step(m, ChunkedLoss.apply)}


def seconds(run, c, dev):
    """One run's seconds: events around an operation, the wall clock around a step."""
    if dev.type != "cuda" or c["kind"] == "step":
        began = time.perf_counter()
        run()
        if dev.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3


class Timed(serve.Prepared):
    """The case that is on the device now."""

    def __init__(self, dev):
        super().__init__(lambda c: build(c, dev), lambda run, c: seconds(run, c, dev))
        self.dev = dev

    def forget(self):
        torch._dynamo.reset()
        if self.dev.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def memory(self):
        return torch.cuda.max_memory_allocated() if self.dev.type == "cuda" else 0


def main():
    kind, _, threads = sys.argv[1].partition(":")
    dev = torch.device(kind)
    if dev.type == "cuda" and not torch.cuda.is_available():
        serve.refuse(f"PyTorch {torch.__version__} sees no CUDA device")
    if threads:
        torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    flash = contextlib.nullcontext()
    name = "the processor"
    if dev.type == "cuda":
        from torch.nn.attention import SDPBackend, sdpa_kernel
        flash, name = sdpa_kernel(SDPBackend.FLASH_ATTENTION), torch.cuda.get_device_name()
    with flash:
        serve.serve(Timed(dev), {"device": name, "versions": {"PyTorch": torch.__version__}})


main()
