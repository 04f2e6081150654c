"""Reference values of whole models, trained by PyTorch on the lanes, weights and random numbers of Lockstep.

Each run is done in f64, and a few times in f32 with the samples of each lane in another order, which changes nothing
but the rounding. How far those stray from f64 says how far any f32 trainer may, as long as rounding decides nothing: a
unit whose input goes by rounding to the other side of its relu's kink has another gradient. Each model has a seed with
which no unit comes near enough, and weights that start as constants start as random numbers: what starts at 0 would lie
on the kink.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F

from lockstep_random import TEST, WEIGHTS, below, dropout_mask, hash_of, philox, uniform, words

LANES, LANE_BATCH, STEPS, CLASSES = 2, 4, 20, 10
BATCH = LANES * LANE_BATCH
MEAN, STD = 0.5, 0.25
F32_RUNS = 4
LEAST_MARGIN = 8  # of an input of relu from 0, in deviations of f32 from f64 over its channel
MOST_VALUES = 32
# Powers of two where that says the same: f32 holds them.
SGD = {"lr": 2**-5, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
# With an epsilon as small as is usual, what rounding leaves of a gradient that cancels becomes a whole step.
ADAMW = {"lr": 2**-10, "betas": (0.9, 0.999), "eps": 2**-14, "weight_decay": 0.05}
LARS = {"lr": 2**-5, "momentum": 0.9, "trust": 0.5, "weight_decay": 5e-4}
LAMB = {"lr": 2**-8, "betas": (0.9, 0.999), "eps": 2**-20, "weight_decay": 0.05}


# ---- parameters ----
class Item:
    """A parameter or running statistic: its shape in meaning, how it starts, whether it decays."""

    def __init__(self, name, shape, bound=None, constant=0.0, decays=False):
        self.name, self.shape, self.decays = name, shape, decays
        self.bound, self.constant = bound, constant

    def initial(self, seed):
        """Flat, in memory order, f32."""
        n = int(np.prod(self.shape))
        if self.bound is None:
            return np.full(n, self.constant, np.float32)
        word = words(n, seed, WEIGHTS, hash_of(self.name))
        return (np.float32(2) * uniform(word) - np.float32(1)) * np.float32(self.bound)

    def shaken(self, seed):
        """What starts as a constant becomes random: a residual block whose last scale is 0 has no gradient inside."""
        if self.bound is not None:
            return self.initial(seed)
        n = int(np.prod(self.shape))
        return np.float32(0.5) + uniform(words(n, seed, TEST, hash_of(self.name)))

    def to_torch(self, flat):
        if len(self.shape) < 4:
            return torch.from_numpy(flat.reshape(self.shape).copy())
        out, channels, height, width = self.shape
        return torch.from_numpy(flat.reshape(out, height, width, channels).transpose(0, 3, 1, 2).copy())

    def to_flat(self, tensor):
        array = tensor.detach().double().numpy()
        return (array.transpose(0, 2, 3, 1) if array.ndim == 4 else array).reshape(-1)


def conv(name, out, channels, kernel, bias=False):
    fan_in = channels * kernel * kernel
    items = [Item(name + ".weight", (out, channels, kernel, kernel), np.sqrt(6 / fan_in), decays=True)]
    return items + ([Item(name + ".bias", (out,), 1 / np.sqrt(fan_in))] if bias else [])


def linear(name, out, features):
    bound = 1 / np.sqrt(features)
    return [Item(name + ".weight", (out, features), bound, decays=True), Item(name + ".bias", (out,), bound)]


def norm(name, channels, scale=1.0):
    return [Item(name + ".weight", (channels,), constant=scale), Item(name + ".bias", (channels,))]


def running(name, channels):
    return [Item(name + ".running_mean", (channels,)), Item(name + ".running_var", (channels,), constant=1.0)]


# ---- models; `lane` has what belongs to a lane: position of each sample, statistics ----
class Lenet:
    name, options, size, seed, dropout, smoothing = "lenet", "", 28, 11, 0.25, 0.0
    rate, smooth = 1, False  # times the rates of SGD above; whether no unit has a kink
    params = (conv("conv1", 6, 1, 5, True) + conv("conv2", 16, 6, 5, True) + linear("fc1", 120, 400) +
              linear("fc2", 84, 120) + linear("fc3", CLASSES, 84))
    states = []

    @staticmethod
    def forward(p, x, lane):
        x = F.max_pool2d(lane.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=2)), 2)
        x = F.max_pool2d(lane.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"])), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # features lie as height, width, channel
        x = lane.relu(F.linear(x, p["fc1.weight"], p["fc1.bias"]))
        x = lane.relu(F.linear(x, p["fc2.weight"], p["fc2.bias"]))
        mask = np.stack([dropout_mask((1, 84), Lenet.dropout, 0, Lenet.seed, int(at))[0] for at in lane.positions])
        return F.linear(x * torch.from_numpy(mask).to(x.dtype), p["fc3.weight"], p["fc3.bias"])


class Resnet8:
    name, options, size, seed, dropout, smoothing = "resnet8", "", 8, 89, 0.0, 0.125
    rate, smooth = 1, False
    stages = [("layer1.0.", 16, 16, 1), ("layer2.0.", 16, 32, 2), ("layer3.0.", 32, 64, 2)]
    norms = {"bn1": 16}
    params = conv("conv1", 16, 1, 3) + norm("bn1", 16)
    for scope, from_, to, stride in stages:
        params += conv(scope + "conv1", to, from_, 3) + norm(scope + "bn1", to)
        params += conv(scope + "conv2", to, to, 3) + norm(scope + "bn2", to, 0.0)
        norms |= {scope + "bn1": to, scope + "bn2": to}
        if from_ != to or stride != 1:
            params += conv(scope + "downsample.0", to, from_, 1) + norm(scope + "downsample.1", to)
            norms[scope + "downsample.1"] = to
    params += linear("fc", CLASSES, 64)
    states = [item for name_, channels in norms.items() for item in running(name_, channels)]

    @staticmethod
    def forward(p, x, lane):
        def normed(x, name):
            return lane.batch_norm(x, name, p[name + ".weight"], p[name + ".bias"])

        x = lane.relu(normed(F.conv2d(x, p["conv1.weight"], padding=1), "bn1"))
        for scope, _, _, stride in Resnet8.stages:
            y = lane.relu(normed(F.conv2d(x, p[scope + "conv1.weight"], stride=stride, padding=1), scope + "bn1"))
            y = normed(F.conv2d(y, p[scope + "conv2.weight"], padding=1), scope + "bn2")
            if scope + "downsample.0.weight" in p:
                skip = F.conv2d(x, p[scope + "downsample.0.weight"], stride=stride)
                x = normed(skip, scope + "downsample.1")
            x = lane.relu(y + x)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return F.linear(x, p["fc.weight"], p["fc.bias"])


class Vit:
    """One block: attention of 6 heads over four patches and the class token."""

    name, options, size, seed, dropout, smoothing = "vit_s16", ", blocks: 1", 32, 11, 0.0, 0.0
    rate, smooth = 2**-4, True
    width, heads, patch = 384, 6, 16
    tokens = 1 + (size // patch) ** 2
    table = np.float32(0.02) * np.float32(np.sqrt(3))
    params = [Item("cls_token", (1, 1, width), table), Item("pos_embed", (1, tokens, width), table)]
    params += conv("patch_embed.proj", width, 1, patch, True) + norm("blocks.0.norm1", width)
    for layer in "qkv":
        params += linear(f"blocks.0.attn.{layer}", width, width)
    params += linear("blocks.0.attn.proj", width, width) + norm("blocks.0.norm2", width)
    params += linear("blocks.0.mlp.fc1", 4 * width, width) + linear("blocks.0.mlp.fc2", width, 4 * width)
    params += norm("norm", width) + linear("head", CLASSES, width)
    states = []

    @staticmethod
    def forward(p, x, lane):
        def layer(x, name):
            return F.linear(x, p[name + ".weight"], p[name + ".bias"])

        def normed(x, name):
            return F.layer_norm(x, (Vit.width,), p[name + ".weight"], p[name + ".bias"], 1e-6)

        x = F.conv2d(x, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=Vit.patch)
        x = torch.cat([p["cls_token"].expand(len(x), 1, Vit.width), x.flatten(2).mT], 1) + p["pos_embed"]
        y = normed(x, "blocks.0.norm1")
        q, k, v = (layer(y, f"blocks.0.attn.{name}").unflatten(2, (Vit.heads, -1)).transpose(1, 2) for name in "qkv")
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + layer(y, "blocks.0.attn.proj")
        x = x + layer(F.gelu(layer(normed(x, "blocks.0.norm2"), "blocks.0.mlp.fc1")), "blocks.0.mlp.fc2")
        return layer(normed(x, "norm")[:, 0], "head")


def sample(seed, position, label, size):
    """Noise below 128, and 128 more in the block, one of 4x4, that the label names."""
    noise = words(size * size // 4, seed, TEST, position).astype("<u4").view(np.uint8).reshape(size, size) & 127
    block = np.arange(size) // (size // 4)
    return noise + 128 * (block[:, None] * 4 + block == label).astype(np.uint8)


class Lane:
    """The samples of a model at `positions` of its endless stream, the statistics that their batch norms find, and what
    enters their relus."""

    def __init__(self, model, positions, dtype):
        self.positions, self.statistics, self.relu_inputs = positions, {}, []
        seed, size = model.seed, model.size
        label = below(philox(seed, TEST, 1 << 32, positions)[:, 0], CLASSES)
        self.target = torch.from_numpy(label)
        a, b = np.float32(1 / 255 / STD), np.float32(-MEAN / STD)
        raw = np.stack([sample(seed, int(at), mark, size) for at, mark in zip(positions, label)])
        x = raw.astype(np.float32) * a + b
        self.x = torch.from_numpy(x.reshape(-1, 1, size, size)).to(dtype)

    def relu(self, x):
        self.relu_inputs.append(x.detach())
        return F.relu(x)

    def batch_norm(self, x, name, scale, shift):
        mean, var = torch.zeros(x.shape[1], dtype=x.dtype), torch.zeros(x.shape[1], dtype=x.dtype)
        y = F.batch_norm(x, mean, var, scale, shift, training=True, momentum=1.0, eps=1e-5)
        self.statistics[name] = {"running_mean": mean, "running_var": var}  # of this lane alone; var unbiased
        return y


# ---- optimizers that PyTorch does not have, as their papers write them; biases and normalization have no ratio ----
def norm_or_none(x):
    norm = torch.linalg.vector_norm(x)
    return norm if norm > 0 else None


class Lars(torch.optim.Optimizer):
    """You, Gitman, Ginsburg 2017, algorithm 1."""

    def __init__(self, groups, **defaults):
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                decay, ratio, weights, gradient = group["weight_decay"], 1.0, norm_or_none(w), norm_or_none(w.grad)
                if group["trusts"] and weights is not None and gradient is not None:
                    ratio = group["trust"] * weights / (gradient + decay * weights)
                v = self.state[w].setdefault("v", torch.zeros_like(w))
                v.mul_(group["momentum"]).add_(group["lr"] * ratio * (w.grad + decay * w))
                w.sub_(v)


class Lamb(torch.optim.Optimizer):
    """You et al. 2019, algorithm 2, phi(z) = z."""

    def __init__(self, groups, **defaults):
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                state = self.state[w]
                t = state["t"] = state.get("t", 0) + 1
                m = state.setdefault("m", torch.zeros_like(w)).mul_(beta1).add_((1 - beta1) * w.grad)
                v = state.setdefault("v", torch.zeros_like(w)).mul_(beta2).add_((1 - beta2) * w.grad * w.grad)
                r = (m / (1 - beta1**t)) / (torch.sqrt(v / (1 - beta2**t)) + group["eps"])
                u = r + group["weight_decay"] * w
                weights, update = norm_or_none(w), norm_or_none(u)
                ratio = weights / update if group["trusts"] and weights is not None and update is not None else 1.0
                w.sub_(group["lr"] * ratio * u)


class Run:
    """A training run: `order` permutes the samples of each lane."""

    def __init__(self, model, dtype, order, optimizer=None):
        self.model, self.dtype, self.order = model, dtype, order
        self.start = {item.name: item.shaken(model.seed) for item in model.params}
        self.params = {item.name: item.to_torch(self.start[item.name]).to(dtype).requires_grad_() for item in
                       model.params}
        self.states = {item.name: item.to_torch(item.initial(model.seed)).to(dtype) for item in model.states}
        self.losses, self.relu_inputs = [], []
        self.optimizer = optimizer(self.groups()) if optimizer else None

    def groups(self):
        decaying = [self.params[item.name] for item in self.model.params if item.decays]
        others = [self.params[item.name] for item in self.model.params if not item.decays]
        return [{"params": decaying, "trusts": True}, {"params": others, "trusts": False, "weight_decay": 0.0}]

    def lane_backward(self, positions):
        lane = Lane(self.model, positions, self.dtype)
        logits = self.model.forward(self.params, lane.x, lane)
        loss = F.cross_entropy(logits, lane.target, reduction="sum", label_smoothing=self.model.smoothing) / BATCH
        loss.backward()
        self.relu_inputs += [x[np.argsort(self.order)].double() for x in lane.relu_inputs]
        return loss.item(), lane.statistics

    def step(self):
        for p in self.params.values():
            p.grad = None
        first = len(self.losses) * BATCH
        lanes = [self.lane_backward(first + lane * LANE_BATCH + self.order) for lane in range(LANES)]
        self.losses.append(sum(loss for loss, _ in lanes))
        for name, state in self.states.items():  # one momentum update a step, with the mean of the lanes
            norm_, kind = name.rsplit(".", 1)
            mean = sum(statistics[norm_][kind] for _, statistics in lanes) / LANES
            state.mul_(0.9).add_(mean, alpha=0.1)
        if self.optimizer:
            self.optimizer.step()

    def gradients(self):
        return {item.name: item.to_flat(self.params[item.name].grad) for item in self.model.params}

    def moved(self):
        return {item.name: item.to_flat(self.params[item.name]) - self.start[item.name] for item in self.model.params}

    def states_moved(self):
        return {item.name: item.to_flat(self.states[item.name]) - item.initial(self.model.seed) for item in self.model.states}


# ---- what is kept of a long vector ----
def digest(x):
    """2-norm, four sums with random signs (any wrong element shows in them), and values spread over the vector."""
    x = np.asarray(x, np.float64)
    sign = words(len(x), 1, TEST, 0)
    dots = [np.sum(np.where(sign >> np.uint64(bit) & np.uint64(1), x, -x)) for bit in range(4)]
    return np.concatenate([[norm_of(x)], dots, x[::(len(x) - 1) // MOST_VALUES + 1]])


def norm_of(x):
    return np.sqrt(np.sum(x * x))


def strayed(exact, others):
    """How far each vector strays, by the worst of the f32 runs, and by no less than the median vector does relative to
    its norm: a lucky vector says nothing."""
    worst = {name: max(norm_of(other[name] - x) for other in others) for name, x in exact.items()}
    usual = np.median([worst[name] / norm_of(x) for name, x in exact.items() if np.any(x)] or [0.0])
    return {name: power_of_two(max(worst[name], usual * norm_of(x))) for name, x in exact.items()}


def power_of_two(x):
    """Rounded up: what another machine would measure is nearly always the same."""
    return float(2.0 ** np.ceil(np.log2(x))) if x > 0 else 0.0


class Result:
    """Vectors by kind and name and losses of a run in f64, and how far f32 strayed from them."""

    def __init__(self, recipe, rate, runs, vectors):
        self.recipe, self.rate = recipe, rate
        exact, narrow = runs[0], runs[1:]
        self.losses = np.array(exact.losses)
        self.loss_strayed = power_of_two(max(np.max(np.abs(np.array(run.losses) - self.losses)) for run in narrow))
        self.vectors = {kind: (of(exact), strayed(of(exact), [of(run) for run in narrow]))
                        for kind, of in vectors.items()}


def orders():
    generator = np.random.Generator(np.random.PCG64(5))
    return [np.arange(LANE_BATCH)] + [generator.permutation(LANE_BATCH) for _ in range(F32_RUNS)]


def least_margin(exact, narrow):
    """How near an input of a relu comes to 0. Exactly 0 is not near: zeros were added, which rounding leaves alone."""
    least = np.inf
    for x, *others in zip(exact.relu_inputs, *(run.relu_inputs for run in narrow)):
        strayed = torch.stack(others) - x
        channel = strayed.square().mean([0, 1, *range(3, strayed.ndim)], keepdim=True).sqrt()[0]
        least = min(least, float(torch.where(x != 0, x.abs() / channel, torch.inf).min()))
    return least


def runs_of(model, steps, optimizer=None):
    dtypes = [torch.float64] + [torch.float32] * F32_RUNS
    runs = [Run(model, dtype, order, optimizer) for dtype, order in zip(dtypes, orders())]
    for run in runs:
        for _ in range(steps):
            run.step()
    margin = least_margin(runs[0], runs[1:])
    if margin < LEAST_MARGIN:
        sys.exit(f"{model.name}, {steps} steps: an input of relu is {margin:.2g} deviations from 0: take another seed")
    return runs


def recipe(model, optimizer):
    """As Lockstep reads it."""
    return f"""seed: {model.seed}
model: {{zoo: {model.name}, classes: {CLASSES}, dropout: {model.dropout}{model.options}}}
data: {{train: synthetic, normalize: {{mean: [{MEAN}], std: [{STD}]}}}}
train:
  steps: {STEPS}
  batch: {BATCH}
  lanes: {LANES}
  loss: {{cross_entropy: {{smoothing: {model.smoothing}}}}}
  optimizer: {optimizer}
"""


def of_gradient(model):
    """The first step of momentum without decay leaves the gradient in the momentum."""
    text = recipe(model, "{sgd: {momentum: 0.9, weight_decay: 0}}")
    return Result(text, 0.0, runs_of(model, 1), {"params": Run.gradients})


def of_sgd(model):
    text = recipe(model, f"{{sgd: {{momentum: {SGD['momentum']}, nesterov: {str(SGD['nesterov']).lower()}, "
                         f"weight_decay: {SGD['weight_decay']}}}}}")
    rate = SGD["lr"] * model.rate
    runs = runs_of(model, STEPS, optimizer=lambda groups: torch.optim.SGD(groups, **SGD | {"lr": rate}))
    return Result(text, rate, runs, {"params": Run.moved, "states": Run.states_moved})


def of_adamw(model):
    text = recipe(model, f"{{adamw: {{beta1: {ADAMW['betas'][0]}, beta2: {ADAMW['betas'][1]}, "
                         f"epsilon: {ADAMW['eps']}, weight_decay: {ADAMW['weight_decay']}}}}}")
    runs = runs_of(model, STEPS, optimizer=lambda groups: torch.optim.AdamW(groups, **ADAMW))
    return Result(text, ADAMW["lr"], runs, {"params": Run.moved, "states": Run.states_moved})


def of_lars(model):
    text = recipe(model, f"{{lars: {{momentum: {LARS['momentum']}, trust: {LARS['trust']}, "
                         f"weight_decay: {LARS['weight_decay']}}}}}")
    runs = runs_of(model, STEPS, optimizer=lambda groups: Lars(groups, **LARS))
    return Result(text, LARS["lr"], runs, {"params": Run.moved, "states": Run.states_moved})


def of_lamb(model):
    text = recipe(model, f"{{lamb: {{beta1: {LAMB['betas'][0]}, beta2: {LAMB['betas'][1]}, "
                         f"epsilon: {LAMB['eps']}, weight_decay: {LAMB['weight_decay']}}}}}")
    runs = runs_of(model, STEPS, optimizer=lambda groups: Lamb(groups, **LAMB))
    return Result(text, LAMB["lr"], runs, {"params": Run.moved, "states": Run.states_moved})


def results():
    """(model, what, Result)"""
    for model in (Lenet, Resnet8, Vit):
        for what, of in (("gradient", of_gradient), ("sgd", of_sgd), ("adamw", of_adamw), ("lars", of_lars),
                         ("lamb", of_lamb)):
            # What LARS and LAMB divide by norms takes a step on the other side of a kink further than rounding goes.
            if model.smooth or of not in (of_lars, of_lamb):
                yield model, what, of(model)
