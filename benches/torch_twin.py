"""The network of learner/README.md in PyTorch: frozen vectors for the tests, a check of dumped decisions, and times.

    python benches/torch_twin.py vectors
    python benches/torch_twin.py check MODEL.safetensors DUMP.safetensors
    python benches/torch_twin.py time THREADS DECISIONS...
    python benches/torch_twin.py beside THREADS DECISIONS... -- BENCH   (a built `learner` bench; in turns, in one run)

Needs torch, numpy and safetensors; nothing of daybook needs this file.
"""

import json
import math
import re
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


class Shape:
    def __init__(self, features, timeframes):
        self.features, self.timeframes = features, []
        for name, lookback in timeframes:
            channels = math.isqrt(lookback * features - 1) + 1
            kernel = 2 * math.isqrt(lookback) + 1
            depth = next(n for n in range(1, lookback) if 1 + (kernel - 1) * n * (n + 1) // 2 >= lookback)
            self.timeframes.append((name, lookback, channels, kernel, depth))
        self.pooled = sum(2 * one[2] for one in self.timeframes)
        self.hidden = math.isqrt(self.pooled - 1) + 1

    def parameters(self):
        found = []

        def linear(name, outputs, inputs):
            found.extend([(name + ".weight", (outputs, inputs)), (name + ".bias", (outputs,))])

        for name, _, channels, kernel, depth in self.timeframes:
            linear(f"encoder.{name}.input", channels, self.features)
            for block in range(depth):
                linear(f"encoder.{name}.block.{block}.depthwise", channels, kernel)
                linear(f"encoder.{name}.block.{block}.pointwise", channels, channels)
                found.append((f"encoder.{name}.block.{block}.norm.weight", (channels,)))
                found.append((f"encoder.{name}.block.{block}.norm.bias", (channels,)))
        m = self.hidden
        linear("fusion.0", m, self.pooled)
        linear("fusion.1", m, m)
        linear("market.project", m, 2 * m)
        linear("market.gate", 2 * m, 2 * m)
        linear("value.0", m, 2 * m)
        linear("value.1", 1, m)
        linear("advantage.0", m, 2 * m)
        linear("advantage.1", 3, m)
        return found


def encode(shape, parameters, timeframe, x):
    """(rows, L, F), standardised, to (rows, 2C)."""
    name, _, channels, kernel, depth = timeframe
    get = lambda rest: parameters[f"encoder.{name}.{rest}"]
    x = F.conv1d(x.transpose(1, 2), get("input.weight").unsqueeze(2), get("input.bias"))
    for block in range(depth):
        part = lambda rest: get(f"block.{block}.{rest}")
        padded = F.pad(x, ((kernel - 1) * (block + 1), 0))
        taps = part("depthwise.weight").unsqueeze(1)
        u = F.conv1d(padded, taps, part("depthwise.bias"), dilation=block + 1, groups=channels)
        s = F.silu(F.conv1d(u, part("pointwise.weight").unsqueeze(2), part("pointwise.bias")))
        n = F.layer_norm(s.transpose(1, 2), (channels,), part("norm.weight"), part("norm.bias"), 1e-5)
        x = x + n.transpose(1, 2)
    return torch.cat([x.mean(2), x.amax(2)], 1)


def forward(shape, parameters, scalers, windows):
    """windows: per timeframe (N, S, L, F), raw; gives Q (N, S, 3)."""
    linear = lambda name, x: F.linear(x, parameters[name + ".weight"], parameters[name + ".bias"])
    decisions, symbols = windows[0].shape[:2]
    pooled = []
    for timeframe, (mean, scale), x in zip(shape.timeframes, scalers, windows):
        pooled.append(encode(shape, parameters, timeframe, ((x - mean) / scale).flatten(0, 1)))
    h = F.silu(linear("fusion.1", F.silu(linear("fusion.0", torch.cat(pooled, 1)))))
    h = h.unflatten(0, (decisions, symbols))
    m = torch.cat([h.mean(1), h.amax(1)], 1)
    project = linear("market.project", m).unsqueeze(1).expand(-1, symbols, -1)
    gate = torch.sigmoid(linear("market.gate", m)).unsqueeze(1)
    context = torch.cat([h, project], 2) * gate
    value = linear("value.1", F.silu(linear("value.0", context)))
    advantage = linear("advantage.1", F.silu(linear("advantage.0", context)))
    return value + advantage - advantage.mean(2, keepdim=True)


class Counter:
    """The numbers of the tests, exact everywhere."""

    def __init__(self, state):
        self.state = state & 0xFFFFFFFF

    def take(self, count, scale):
        values = np.empty(count, np.float32)
        for index in range(count):
            self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
            values[index] = np.float32(self.state >> 8) / np.float32(1 << 24) - np.float32(0.5)
        return values * np.float32(scale)


def case(features, timeframes, symbols, seed):
    shape = Shape(features, timeframes)
    counter = Counter(seed)
    parameters = {
        name: torch.tensor(counter.take(math.prod(dims), 0.6).reshape(dims), requires_grad=True)
        for name, dims in shape.parameters()
    }
    one = lambda: (torch.tensor(counter.take(features, 1.0)), torch.tensor(counter.take(features, 1.0) + np.float32(1.5)))
    scalers = [one() for _ in timeframes]
    counter = Counter(seed ^ 0x5EED)
    windows = []
    for _, lookback in timeframes:
        rows = [counter.take(lookback * features, 4.0).reshape(lookback, features) for _ in range(symbols)]
        windows.append(torch.tensor(np.stack(rows)).unsqueeze(0))
    return shape, parameters, scalers, windows


def vectors():
    torch.set_num_threads(1)
    shape, parameters, scalers, windows = case(18, [("5m", 64), ("15m", 32)], 4, 42)
    q = forward(shape, parameters, scalers, windows)
    print("q", [float(value) for value in q.flatten()])
    targets = torch.tensor([[0.25, -0.5, 3.0, 0.0]])
    actions = torch.tensor([[0, 1, 2, 0]])
    taken = q.gather(2, actions.unsqueeze(2)).squeeze(2)
    loss = F.huber_loss(taken, targets, reduction="sum") / 4
    loss.backward()
    print("loss", float(loss))
    for name, _ in shape.parameters():
        gradient = parameters[name].grad
        print(f'    ("{name}", {float(gradient.norm()):.9e}, {float(gradient.flatten()[0]):.9e}),')


def check(model, dump):
    from safetensors import safe_open

    with safe_open(model, "pt") as file:
        record = json.loads(file.metadata()["shape"])
        shape = Shape(record["features"], [tuple(one) for one in record["timeframes"]])
        parameters = {name: file.get_tensor(name) for name, _ in shape.parameters()}
        part = lambda name, word: file.get_tensor(f"scaler.{name}.{word}")
        scalers = [(part(one[0], "mean"), part(one[0], "scale")) for one in shape.timeframes]
    with safe_open(dump, "pt") as file:
        windows = [file.get_tensor(f"x.{one[0]}") for one in shape.timeframes]
        expected = file.get_tensor("q")
    with torch.no_grad():
        found = forward(shape, parameters, scalers, windows)
    worst = float((found - expected).abs().max())
    print(f"{tuple(expected.shape)} decisions, largest difference {worst:.3e}")
    sys.exit(0 if worst < 1e-5 else 1)


def measure(threads, sizes, only=0):
    torch.set_num_threads(threads)
    medians = []
    for decisions in sizes:
        shape, parameters, scalers, _ = case(18, [("5m", 256), ("15m", 128)], 1, 42)
        parameters = {name: (value.detach() * 0.2).requires_grad_() for name, value in parameters.items()}
        generator = torch.Generator().manual_seed(1)
        windows = [torch.randn(decisions, 10, one[1], 18, generator=generator) for one in shape.timeframes]
        targets = torch.randn(decisions, 10, generator=generator)
        actions = torch.randint(0, 3, (decisions, 10, 1), generator=generator)
        optimiser = torch.optim.AdamW(parameters.values(), lr=3e-4, weight_decay=1e-4)

        def step():
            optimiser.zero_grad()
            taken = forward(shape, parameters, scalers, windows).gather(2, actions).squeeze(2)
            F.huber_loss(taken, targets).backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            optimiser.step()

        def infer():
            with torch.no_grad():
                forward(shape, parameters, scalers, windows)

        for name, what in [("forward", infer), ("step", step)][only:]:
            what()
            times = []
            for _ in range(10 if decisions <= 8 else 3):
                begin = time.perf_counter()
                what()
                times.append(time.perf_counter() - begin)
            print(f"torch {torch.__version__} {name} decisions={decisions} threads={threads}: "
                  f"median {sorted(times)[len(times) // 2] * 1e3:.1f} ms, best {min(times) * 1e3:.1f} ms")
            medians.append(sorted(times)[len(times) // 2] * 1e3)
    return medians


def beside(threads, sizes, bench):
    """Steps of both, in turns: PyTorch, daybook, PyTorch, and again where a step is short."""
    unit = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
    for decisions in sizes:
        theirs, ours = measure(threads, [decisions], 1), []
        for _ in range(2 if decisions <= 8 else 1):
            name = f"step/{decisions} decisions/{threads} threads"
            told = subprocess.run([*bench, "--bench", name], capture_output=True, text=True, check=True).stdout
            _, _, middle, word, _, _ = re.search(r"time:\s+\[(\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\]", told).groups()
            ours.append(float(middle) * unit[word])
            theirs += measure(threads, [decisions], 1)
        theirs, ours = sorted(theirs)[(len(theirs) - 1) // 2], sum(ours) / len(ours)
        print(f"step of {decisions} decision times, {threads} threads: PyTorch {theirs:.0f} ms, daybook {ours:.0f} ms: "
              f"{theirs / ours:.2f} x PyTorch")


if __name__ == "__main__":
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "vectors":
        vectors()
    elif command == "check":
        check(sys.argv[2], sys.argv[3])
    elif command == "time":
        measure(int(sys.argv[2]), [int(size) for size in sys.argv[3:]] or [1, 8, 64])
    elif command == "beside" and "--" in sys.argv:
        split = sys.argv.index("--")
        beside(int(sys.argv[2]), [int(size) for size in sys.argv[3:split]], sys.argv[split + 1:])
    else:
        sys.exit(__doc__)
