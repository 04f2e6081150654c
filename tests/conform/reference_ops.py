"""Reference values of single ops, computed by PyTorch.

A case is an op of Lockstep's table with its attributes, inputs, outputs, and, where it has gradients, an output
gradient dy and the gradient of each input that has one. Inputs are multiples of 2^-8, so that f32 holds them.
"""

import numpy as np
import torch
import torch.nn.functional as F

from lockstep_random import dropout_mask

SEED, FIRST_POSITION = 7, 1000  # of the lane that runs the cases


class Case:
    """`attrs`: of the op, or of the lane's control ("control.seed"). Tensors are in PyTorch's order (NCHW, OIHW)."""

    def __init__(self, name, op, inputs, outputs, attrs=None, dy=None, gradients=None, running=None):
        self.name, self.op, self.attrs = name, op, attrs or {}
        self.inputs, self.outputs = inputs, outputs
        self.dy, self.gradients = dy, gradients or {}
        self.running = running or {}


class Numbers:
    """Inputs, a function of the order in which they are asked for."""

    def __init__(self, seed):
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def signed(self, *shape):
        return torch.from_numpy(self._fixed(self.generator.standard_normal(shape)))

    def positive(self, *shape):
        return torch.from_numpy(self._fixed(0.5 + self.generator.random(shape)))

    def distinct(self, *shape):
        """No two alike: no maximum is shared."""
        n = int(np.prod(shape))
        return torch.from_numpy((self.generator.permutation(n).reshape(shape) - n // 2) / 64.0)

    def classes(self, n, classes):
        return torch.from_numpy(self.generator.integers(0, classes, n).astype(np.int32))

    def raw(self, *shape):
        return torch.from_numpy(self.generator.integers(0, 256, shape).astype(np.uint8))

    @staticmethod
    def _fixed(x):
        x = np.round(x * 256) / 256
        return np.where(x == 0, 1 / 256, x)  # 0 is a kink of relu


def differentiate(numbers, name, op, function, inputs, attrs=None, constant=(), more=None):
    """A case with gradients of all inputs but the `constant` ones; output 0 is function(*inputs), then come `more`."""
    leaves = [x.clone().requires_grad_(k not in constant) for k, x in enumerate(inputs)]
    y = function(*leaves)
    dy = numbers.signed(*y.shape)
    y.backward(dy)
    gradients = {k: x.grad for k, x in enumerate(leaves) if k not in constant}
    return Case(name, op, inputs, [y.detach()] + (more or []), attrs, dy, gradients)


def window(stride=(1, 1), pad=(0, 0), dilation=None, groups=None, kernel=None):
    attrs = {"stride_h": stride[0], "stride_w": stride[1], "pad_h": pad[0], "pad_w": pad[1]}
    if dilation:
        attrs |= {"dilation_h": dilation[0], "dilation_w": dilation[1], "groups": groups}
    if kernel:
        attrs |= {"kernel_h": kernel[0], "kernel_w": kernel[1]}
    return attrs


def convolutions(numbers):
    for name, x, w, bias, stride, pad, dilation, groups in [
        ("conv 1x1", (2, 5, 4, 3), (7, 5, 1, 1), False, (1, 1), (0, 0), (1, 1), 1),
        ("conv 3x3 bias", (2, 3, 7, 5), (4, 3, 3, 3), True, (1, 1), (1, 1), (1, 1), 1),
        ("conv 3x3 stride 2", (1, 8, 8, 7), (8, 8, 3, 3), True, (2, 2), (1, 1), (1, 1), 1),
        ("conv 7x7 stride 2", (1, 3, 13, 12), (4, 3, 7, 7), False, (2, 2), (3, 3), (1, 1), 1),
        ("conv dilated", (2, 2, 11, 6), (3, 2, 5, 2), True, (1, 1), (2, 1), (2, 3), 1),
        ("conv grouped", (2, 6, 5, 5), (9, 2, 3, 3), True, (2, 2), (1, 1), (1, 1), 3),
        ("conv depthwise", (2, 5, 6, 5), (5, 1, 3, 3), False, (1, 1), (1, 1), (1, 1), 5),
        ("conv uneven", (2, 3, 6, 9), (2, 3, 2, 3), False, (3, 2), (0, 2), (2, 1), 1),
        ("conv 16 channels", (1, 16, 5, 5), (8, 16, 3, 3), False, (1, 1), (1, 1), (1, 1), 1),
    ]:
        inputs = [numbers.signed(*x), numbers.signed(*w)] + ([numbers.signed(w[0])] if bias else [])

        def conv(x, w, b=None, stride=stride, pad=pad, dilation=dilation, groups=groups):
            return F.conv2d(x, w, b, stride, pad, dilation, groups)

        attrs = window(stride, pad, dilation, groups)
        yield differentiate(numbers, name, "conv", conv, inputs, attrs)
        if bias and max(w) < 8:
            yield Case(name.replace("conv", "conv_relu"), "conv_relu", inputs, [F.relu(conv(*inputs))], attrs)


def transposed(numbers):
    """Convolutions transposed, and images of another size."""
    for name, x, w, stride, pad, more, groups, dilation in [
        ("conv_transpose", (2, 5, 4, 3), (5, 7, 2, 2), (2, 2), (0, 0), (0, 0), 1, (1, 1)),
        ("conv_transpose padded out", (2, 3, 5, 4), (3, 4, 3, 3), (2, 2), (1, 1), (1, 0), 1, (1, 1)),
        ("conv_transpose grouped", (2, 6, 3, 4), (6, 3, 3, 2), (3, 2), (1, 0), (2, 1), 3, (1, 1)),
        ("conv_transpose dilated", (1, 2, 4, 5), (2, 3, 3, 2), (1, 2), (1, 1), (0, 1), 1, (2, 3)),
        ("conv_transpose 16 channels", (1, 16, 5, 5), (16, 8, 4, 4), (2, 2), (1, 1), (0, 0), 1, (1, 1)),
    ]:
        inputs = [numbers.signed(*x), numbers.signed(*w)]

        def transpose(x, w, rest=(stride, pad, more, groups, dilation)):
            return F.conv_transpose2d(x, w, None, *rest)

        size = transpose(*inputs).shape
        yield differentiate(numbers, name, "conv_transpose", transpose, inputs,
                            window(stride, pad, dilation, groups) | {"size_h": size[2], "size_w": size[3]})
    yield differentiate(numbers, "bias", "bias", lambda x, b: x + b[:, None, None], [numbers.signed(2, 5, 4, 3), numbers.signed(5)])
    for name, shape, size in [("twice", (2, 3, 4, 5), (8, 10)), ("to a size", (2, 5, 3, 7), (7, 10)), ("smaller", (1, 4, 9, 7), (4, 3)),
                              ("of a pixel", (1, 2, 1, 1), (3, 2)), ("one axis", (1, 3, 5, 4), (5, 12))]:
        for bilinear in (0, 1):
            def resize(x, size=size, bilinear=bilinear):
                return F.interpolate(x, size, mode="bilinear", align_corners=False) if bilinear else F.interpolate(x, size)

            yield differentiate(numbers, f"resize {'bilinear' if bilinear else 'nearest'} {name}", "resize", resize,
                                [numbers.signed(*shape)], {"height": size[0], "width": size[1], "bilinear": bilinear})


def signals(numbers):
    """PyTorch's one-dimensional ops, on [N, C, L]; here the same is an image [N, C, 1, L]."""
    for name, bias, stride, pad, dilation, groups in [("conv1d", False, 1, 2, 1, 1), ("conv1d stride 3", True, 3, 4, 2, 1),
                                                      ("conv1d grouped", True, 2, 0, 1, 2)]:
        inputs = [numbers.signed(2, 4, 1, 23), numbers.signed(6, 4 // groups, 1, 5)] + [numbers.signed(6)] * bias

        def conv(x, w, b=None, rest=(stride, pad, dilation, groups)):
            return F.conv1d(x.squeeze(2), w.squeeze(2), b, *rest).unsqueeze(2)

        yield differentiate(numbers, name, "conv", conv, inputs,
                            window((1, stride), (0, pad), (1, dilation), groups))
    x = numbers.distinct(2, 3, 1, 20)
    places = F.max_pool1d(x.squeeze(2), 3, 2, 1, return_indices=True)[1].unsqueeze(2)
    yield differentiate(numbers, "max_pool1d", "max_pool", lambda x: F.max_pool1d(x.squeeze(2), 3, 2, 1).unsqueeze(2), [x],
                        window((1, 2), (0, 1), kernel=(1, 3)), more=[place_in_window(places, 20, (1, 3), (1, 2), (0, 1))])
    yield differentiate(numbers, "avg_pool1d", "avg_pool", lambda x: F.avg_pool1d(x.squeeze(2), 4, 3, 1).unsqueeze(2),
                        [numbers.signed(2, 3, 1, 20)], window((1, 3), (0, 1), kernel=(1, 4)) | {"count_padding": 1})


def linears(numbers):
    for name, n, features, out, bias in [("linear", 5, 33, 10, True), ("linear one sample", 1, 3, 1, False)]:
        inputs = [numbers.signed(n, features), numbers.signed(out, features)]
        inputs += [numbers.signed(out)] if bias else []
        yield differentiate(numbers, name, "linear", F.linear, inputs)
        yield Case(name.replace("linear", "linear_relu"), "linear_relu", inputs, [F.relu(F.linear(*inputs))])


def running_statistics(numbers, x):
    """Running statistics before and after one training step of PyTorch's own layer."""
    channels = x.shape[1]
    before = numbers.signed(channels), numbers.positive(channels)
    after = before[0].clone(), before[1].clone()
    F.batch_norm(x, *after, training=True, momentum=0.1)
    return {"mean_before": before[0], "var_before": before[1], "mean_after": after[0], "var_after": after[1]}


def batchnorms(numbers):
    attrs = {"epsilon": 1e-5}
    for name, shape in [("batchnorm", (3, 5, 4, 5)), ("batchnorm flat", (9, 5)), ("batchnorm few values", (4, 3))]:
        x, scale, shift = numbers.signed(*shape), numbers.positive(shape[1]), numbers.signed(shape[1])
        axes = (0, 2, 3) if len(shape) == 4 else (0,)
        mean, var = x.mean(axes), x.var(axes, correction=0)

        def norm(x, scale, shift):
            return F.batch_norm(x, None, None, scale, shift, training=True, eps=1e-5)

        case = differentiate(numbers, name, "batchnorm", norm, [x, scale, shift], attrs, more=[mean, var])
        case.running = running_statistics(numbers, x)
        yield case
        y = F.relu(norm(x, scale, shift))
        yield Case(name.replace("batchnorm", "batchnorm_relu"), "batchnorm_relu", [x, scale, shift], [y, mean, var],
                   attrs)
        most = 0.75  # relu6 is as this, but with a bound that these numbers reach
        yield Case(name.replace("batchnorm", "batchnorm_relu bounded"), "batchnorm_relu", [x, scale, shift],
                   [y.clamp(max=most), mean, var], attrs | {"most": most})
        held = differentiate(numbers, name, "", lambda *t, norm=norm, most=most: norm(*t).clamp(0, most), [x, scale, shift])
        yield Case(name.replace("batchnorm", "batchnorm_relu_grad bounded"), "batchnorm_relu_grad",
                   [x, held.dy, scale, shift, mean, var], [held.gradients[k] for k in range(3)],
                   attrs | {"most": most})
        fused = differentiate(numbers, name, "", lambda *t, norm=norm: F.relu(norm(*t)), [x, scale, shift])
        yield Case(name.replace("batchnorm", "batchnorm_relu_grad"), "batchnorm_relu_grad",
                   [x, fused.dy, scale, shift, mean, var], [fused.gradients[k] for k in range(3)], attrs)
        b, more = numbers.signed(*shape), numbers.signed(*shape)
        added = differentiate(numbers, name, "", lambda x, scale, shift, b, norm=norm: F.relu(norm(x, scale, shift) + b),
                              [x, scale, shift, b])
        y, gradients = added.outputs[0], [added.gradients[k] for k in range(4)]
        yield Case(name.replace("batchnorm", "batchnorm_add_relu"), "batchnorm_add_relu", [x, scale, shift, b], [y, mean, var],
                   attrs)
        for dys, more_dys in (([added.dy], []), ([added.dy - more], [more])):
            yield Case(name.replace("batchnorm", "batchnorm_add_relu_grad") + (" of two" if more_dys else ""),
                       "batchnorm_add_relu_grad", [x, y, *dys, scale, mean, var, *more_dys], gradients, attrs)
    x, scale, shift = numbers.signed(2, 7, 3, 4), numbers.positive(7), numbers.signed(7)
    mean, var = numbers.signed(7), numbers.positive(7)
    norm = lambda x, scale, shift, mean, var: F.batch_norm(x, mean, var, scale, shift, training=False, eps=1e-5)
    y = norm(x, scale, shift, mean, var)
    yield differentiate(numbers, "batchnorm_eval", "batchnorm_eval", norm, [x, scale, shift, mean, var], attrs,
                        constant=(1, 2, 3, 4))
    yield Case("batchnorm_eval_relu", "batchnorm_eval_relu", [x, scale, shift, mean, var], [F.relu(y)], attrs)
    yield Case("batchnorm_eval_relu bounded", "batchnorm_eval_relu", [x, scale, shift, mean, var], [y.clamp(0, 0.75)],
               attrs | {"most": 0.75})


def elementwise(numbers):
    yield differentiate(numbers, "relu", "relu", F.relu, [numbers.signed(3, 5, 4, 3)])
    # Bounds between the multiples of 2^-8 that inputs are: no input sits on a kink.
    low, high = -0.5 - 2**-9, 1 + 2**-9
    yield differentiate(numbers, "clip", "clip", lambda x: torch.clamp(x, low, high), [numbers.signed(3, 37)],
                        {"low": low, "high": high})
    yield differentiate(numbers, "sigmoid", "sigmoid", torch.sigmoid, [numbers.signed(3, 5, 4, 3)])
    pair = [numbers.signed(2, 3, 3, 5), numbers.signed(2, 3, 3, 5)]
    yield differentiate(numbers, "add", "add", torch.add, pair)
    yield Case("add_relu", "add_relu", pair, [F.relu(pair[0] + pair[1])])
    yield differentiate(numbers, "flatten", "flatten", lambda x: lie(x).flatten(1), [numbers.signed(2, 3, 3, 5)])
    rate, site, shape = 0.3, 2, (3, 5, 3, 3)
    mask = dropout_mask((shape[0], 45), rate, site, SEED, FIRST_POSITION).astype(np.float64)
    mask = torch.from_numpy(mask.reshape(3, 3, 3, 5)).permute(0, 3, 1, 2)
    yield differentiate(numbers, "dropout", "dropout", lambda x: x * mask, [numbers.signed(*shape)],
                        {"rate": rate, "site": site, "control.seed": SEED, "control.first_position": FIRST_POSITION})


def moves(numbers):
    x = numbers.signed(2, 3, 4, 5)
    yield differentiate(numbers, "reshape", "reshape", lambda x: lie(x).reshape(2, 20, 3), [x],
                        {"dim0": 2, "dim1": 20, "dim2": 3})
    yield differentiate(numbers, "reshape to five", "reshape", lambda x: x.reshape(2, 5, 1, 3, 4),
                        [numbers.signed(10, 12)], {f"dim{i}": n for i, n in enumerate((2, 5, 1, 3, 4))})
    for name, shape, axes in [("transpose", (3, 7), (1, 0)), ("transpose three", (2, 3, 5), (2, 0, 1)),
                              ("transpose image", (2, 3, 4, 5), (3, 1, 0, 2)),
                              ("transpose heads", (2, 5, 1, 3, 8), (0, 3, 2, 1, 4))]:
        yield differentiate(numbers, name, "transpose", lambda x, axes=axes: x.permute(axes), [numbers.signed(*shape)],
                            {f"axis{i}": axis for i, axis in enumerate(axes)})
    for name, shape, sizes, axis in [("concat", (2, 0, 3), (1, 4, 2), 1), ("concat channels", (2, 0, 3, 4), (8, 3), 1),
                                     ("concat samples", (0, 3, 3, 2), (1, 2), 0)]:
        parts = [numbers.signed(*shape[:axis], size, *shape[axis + 1:]) for size in sizes]
        yield differentiate(numbers, name, "concat", lambda *x, axis=axis: torch.cat(x, axis), parts, {"axis": axis})
    for name, shape, axis, begin, size in [("slice", (2, 7, 8), 1, 2, 3), ("slice channels", (2, 7, 3, 4), 1, 2, 3),
                                           ("slice width", (2, 3, 3, 6), 3, 0, 2)]:
        attrs = {"axis": axis, "begin": begin, "size": size}
        yield differentiate(numbers, name, "slice", lambda x, a=(axis, begin, size): x.narrow(*a), [numbers.signed(*shape)],
                            attrs)
    for name, shape, axis, begin, size in [("pad", (3, 2, 8), 1, 1, 5), ("pad channels", (2, 3, 2, 4), 1, 2, 6)]:
        def padded(x, axis=axis, begin=begin, size=size):
            return F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [begin, size - begin - x.shape[axis]])

        yield differentiate(numbers, name, "pad", padded, [numbers.signed(*shape)],
                            {"axis": axis, "begin": begin, "size": size})


def attention(numbers):
    yield differentiate(numbers, "softmax rows", "softmax", lambda x: F.softmax(x, -1), [numbers.signed(2, 3, 9)])
    for name, a, b, ta, tb, scale in [("matmul", (3, 5, 7), (3, 7, 4), 0, 0, 1.0),
                                      ("matmul b transposed", (2, 5, 8), (2, 9, 8), 0, 1, 0.125),
                                      ("matmul a transposed", (2, 1, 3, 7, 5), (2, 1, 3, 7, 6), 1, 0, 0.5),
                                      ("matmul both transposed", (11, 3), (6, 11), 1, 1, 2.0)]:
        def product(a, b, ta=ta, tb=tb, scale=scale):
            return scale * torch.matmul(a.mT if ta else a, b.mT if tb else b)

        yield differentiate(numbers, name, "matmul", product, [numbers.signed(*a), numbers.signed(*b)],
                            {"transpose_a": ta, "transpose_b": tb, "scale": scale})
    for name, shape, epsilon in [("layernorm", (6, 37), 1e-5), ("layernorm three", (2, 3, 16), 1e-6)]:
        inputs = [numbers.signed(*shape), numbers.positive(shape[-1]), numbers.signed(shape[-1])]
        yield differentiate(numbers, name, "layernorm",
                            lambda x, scale, shift, e=epsilon: F.layer_norm(x, x.shape[-1:], scale, shift, e), inputs,
                            {"epsilon": epsilon})
    inputs = [numbers.signed(2, 5, 3, 4), numbers.positive(5), numbers.signed(5)]
    yield differentiate(numbers, "layernorm of channels", "layernorm",
                        lambda x, scale, shift: F.layer_norm(x.movedim(1, -1), (5,), scale, shift).movedim(-1, 1), inputs)
    for name, shape, groups in [("groupnorm", (2, 12, 3, 4), 3), ("groupnorm each", (2, 3, 5, 4), 3),
                                ("groupnorm flat", (3, 40), 2)]:
        inputs = [numbers.signed(*shape), numbers.positive(shape[1]), numbers.signed(shape[1])]
        yield differentiate(numbers, name, "groupnorm",
                            lambda x, scale, shift, g=groups: F.group_norm(x, g, scale, shift), inputs, {"groups": groups})
    for name, shape, rows in [("embedding", (9,), 4), ("embedding rows", (2, 6), 7)]:
        index = numbers.classes(int(np.prod(shape)), rows).reshape(shape)
        yield differentiate(numbers, name, "embedding", lambda i, table: F.embedding(i.long(), table),
                            [index, numbers.signed(rows, 5)], {}, (0,))


def repeats(numbers):
    for name, shape in [("repeat", (1, 3, 4)), ("repeat image", (1, 2, 3, 3))]:
        yield differentiate(numbers, name, "repeat", lambda x: x.expand(5, *x.shape[1:]), [numbers.signed(*shape)],
                            {"times": 5})


def activations(numbers):
    for name, function, attrs in [("leaky_relu", lambda x: F.leaky_relu(x, 0.125), {"slope": 0.125}),
                                  ("tanh", torch.tanh, {}),
                                  ("gelu", F.gelu, {"tanh": 0}),
                                  ("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), {"tanh": 1}),
                                  ("silu", F.silu, {}),
                                  ("hard_swish", F.hardswish, {})]:
        x = 2.5 * numbers.signed(3, 5, 4, 3)  # both sides of hard_swish's kinks, and none of them: they are 3 and -3
        yield differentiate(numbers, name, name.split()[0], function, [torch.where(x.abs() == 3, 2.5, x)], attrs)


def broadcasts(numbers):
    for name, a, b in [("add gate", (2, 9, 3, 5), (2, 9, 1, 1)), ("add both", (2, 1, 4, 1), (1, 3, 4, 5)),
                       ("add lower rank", (2, 3, 5), (3, 1)), ("mul", (2, 3, 3, 5), (2, 3, 3, 5)),
                       ("mul gate", (2, 9, 3, 5), (2, 9, 1, 1)), ("mul mask", (2, 6, 3, 5), (2, 1, 3, 5)),
                       ("mul both", (7, 1), (1, 9)), ("mul one", (1, 1, 1, 1), (2, 3, 4, 2)),
                       ("mul lower rank", (3, 1), (2, 3, 5)), ("mul rank 5", (2, 3, 2, 3, 2), (2, 1, 2, 1, 2))]:
        op = name.split()[0]
        pair = [numbers.signed(*a), numbers.signed(*b)]
        yield differentiate(numbers, name, op, torch.add if op == "add" else torch.mul, pair)
    pair = [numbers.signed(2, 3, 3, 5), numbers.signed(1, 3, 1, 5)]
    yield Case("add_relu spread", "add_relu", pair, [F.relu(pair[0] + pair[1])])


def place_in_window(index, width, kernel, stride, pad):
    """PyTorch's index h * W + w of each maximum, as kh * KW + kw."""
    h = index // width - (torch.arange(index.shape[2]) * stride[0] - pad[0])[:, None]
    w = index % width - (torch.arange(index.shape[3]) * stride[1] - pad[1])
    return (h * kernel[1] + w).to(torch.uint8)


def pools(numbers):
    for name, shape, kernel, stride, pad in [("max_pool 2", (2, 3, 6, 5), (2, 2), (2, 2), (0, 0)),
                                             ("max_pool 3 pad", (2, 9, 5, 4), (3, 3), (2, 2), (1, 1)),
                                             ("max_pool uneven", (1, 2, 7, 9), (2, 5), (1, 3), (1, 2))]:
        x = numbers.distinct(*shape)
        index = F.max_pool2d(x, kernel, stride, pad, return_indices=True)[1]
        places = place_in_window(index, shape[3], kernel, stride, pad)
        yield differentiate(numbers, name, "max_pool",
                            lambda x, k=kernel, s=stride, p=pad: F.max_pool2d(x, k, s, p), [x],
                            window(stride, pad, kernel=kernel), more=[places])
    for name, kernel, stride, pad, count in [("avg_pool 2", (2, 2), (2, 2), (0, 0), True),
                                             ("avg_pool count_include_pad", (3, 3), (2, 2), (1, 1), True),
                                             ("avg_pool without padding", (3, 3), (2, 2), (1, 1), False),
                                             ("avg_pool uneven", (2, 4), (1, 3), (1, 2), False)]:
        yield differentiate(numbers, name, "avg_pool",
                            lambda x, a=(kernel, stride, pad, False, count): F.avg_pool2d(x, *a),
                            [numbers.signed(2, 3, 6, 5)],
                            window(stride, pad, kernel=kernel) | {"count_padding": int(count)})
    yield differentiate(numbers, "global_avg_pool", "global_avg_pool", lambda x: F.adaptive_avg_pool2d(x, 1),
                        [numbers.signed(3, 9, 5, 4)])


def losses(numbers):
    yield differentiate(numbers, "softmax", "softmax", lambda x: F.softmax(x, 1), [numbers.signed(4, 9)])
    for name, smoothing, weight in [("cross_entropy", 0.0, [1, 1, 1, 1, 1]),
                                    ("cross_entropy smoothing", 0.125, [1, 1, 1, 1, 1]),
                                    ("cross_entropy weights", 0.125, [1, 0, 0.5, 1, 0])]:
        logits, target = 3 * numbers.signed(5, 7), numbers.classes(5, 7)
        target[0] = logits[0].argmax()  # right once
        weight = torch.tensor(weight, dtype=torch.float64)
        valid = target.long()

        def loss(logits, target, weight, valid=valid, s=smoothing):
            return (F.cross_entropy(logits, valid, reduction="none", label_smoothing=s) * weight).sum()

        right = ((logits.argmax(1) == valid) * weight).sum()
        target = torch.where(weight > 0, target, -5).to(torch.int32)  # whatever the target of weight 0
        yield differentiate(numbers, name, "cross_entropy", loss, [logits, target, weight], {"smoothing": smoothing},
                            (1, 2), [right, weight.sum()])
    prediction, target = numbers.signed(5, 3), numbers.signed(5, 3)
    weight = torch.tensor([1, 0, 0.5, 1, 1], dtype=torch.float64)
    yield differentiate(numbers, "mse", "mse",
                        lambda p, t, w: (F.mse_loss(p, t, reduction="none").mean(1) * w).sum(),
                        [prediction, target, weight], {}, (1, 2),
                        [((prediction - target).abs().mean(1) * weight).sum(), weight.sum()])
    for name, smoothing in [("binary_cross_entropy", 0.0), ("binary_cross_entropy smoothing", 0.125)]:
        logits, target = 3 * numbers.signed(5, 3), numbers.classes(15, 2).reshape(5, 3).double()
        target[0] = (logits[0] > 0).double()  # right once
        weight = torch.tensor([1, 0, 0.5, 1, 1], dtype=torch.float64)

        def binary(x, t, w, s=smoothing):
            q = (1 - s) * t + s / 2
            return (F.binary_cross_entropy_with_logits(x, q, reduction="none").mean(1) * w).sum()

        right = (((logits > 0) == (target > 0.5)).all(1) * weight).sum()
        yield differentiate(numbers, name, "binary_cross_entropy", binary, [logits, target, weight],
                            {"smoothing": smoothing}, (1, 2), [right, weight.sum()])


def regressions(numbers):
    weight = torch.tensor([1, 0, 0.5, 1, 1], dtype=torch.float64)
    for name, function, attrs in [("mae", lambda p, t: F.l1_loss(p, t, reduction="none"), {}),
                                  ("huber", lambda p, t: F.huber_loss(p, t, reduction="none", delta=0.75), {"delta": 0.75}),
                                  ("huber far", lambda p, t: F.huber_loss(p, t, reduction="none", delta=8), {"delta": 8})]:
        prediction, target = numbers.signed(5, 3), numbers.signed(5, 3) + 2**-9  # never equal, never delta apart
        score = ((prediction - target).abs().mean(1) * weight).sum()
        yield differentiate(numbers, name, name.split()[0], lambda p, t, w, f=function: (f(p, t).mean(1) * w).sum(),
                            [prediction, target, weight], attrs, (1, 2), [score, weight.sum()])


def normalized(x, scale, mean, std):
    """x = raw * a + b in f32, rounded twice; a and b rounded from f64."""
    a = torch.tensor([scale / s for s in std]).float()[:, None, None]
    b = torch.tensor([-m / s for m, s in zip(mean, std)]).float()[:, None, None]
    return x.float() * a + b


def cropped(raw, dy, dx, flags):
    """Zeros around the sample [C, H, W], a window of its size shifted by (dy, dx), flipped (1: left and right)."""
    reach, (height, width) = 20, raw.shape[1:]
    padded = F.pad(raw, (reach,) * 4)
    window_ = padded[:, reach + dy:reach + dy + height, reach + dx:reach + dx + width]
    return torch.flip(window_, [axis for axis, flag in ((2, 1), (1, 2)) if flags & flag])


def inputs_(numbers):
    raw = numbers.raw(6, 3, 5, 4)
    augment = torch.zeros(6, 32, dtype=torch.int32)  # struct ls_augment: dy, dx, flags
    augment[:, :3] = torch.tensor([[0, 0, 0], [1, -2, 1], [-1, 1, 2], [2, 2, 1], [0, -1, 3], [-9, 3, 0]])
    samples = torch.stack([cropped(x, *a[:3].tolist()) for x, a in zip(raw, augment)])
    scale = 1 / 255
    yield Case("input crop flip", "input", [raw, augment], [normalized(samples, scale, [0.25], [0.5])],
               {"augmented": 1, "scale": scale, "list": [0.25, 0.5]})
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    yield Case("input channels", "input", [raw], [normalized(raw, scale, mean, std)],
               {"scale": scale, "list": mean + std})
    raw = numbers.signed(2, 2, 5, 4).float()
    yield Case("input channels first", "input", [raw], [normalized(raw, 1, [0.25, -1], [0.5, 3])],
               {"channels_first": 1, "scale": 1, "list": [0.25, -1, 0.5, 3]})


def others(numbers):
    x = torch.from_numpy(numbers.generator.standard_normal((4, 25))).float()
    x[0, :3] = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20])  # two ties of bf16, and just above one
    dy = numbers.signed(4, 25).bfloat16()
    yield Case("cast to bf16", "cast", [x], [x.bfloat16().float()], {"to": "bf16"}, dy.double(), {0: dy.double()})
    one, zero = torch.tensor(1.0).double(), torch.tensor(0.0).double()
    yield Case("rank_flags", "rank_flags", [], [one, zero], {"control.stop": 1, "control.fault": 0})
    yield Case("rank_flags fault", "rank_flags", [], [zero, one], {"control.stop": 0, "control.fault": 1})


def lie(tensor, channels_first=False):
    """In Lockstep's memory order."""
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.dim() == 4 and not channels_first else tensor


def cases():
    families = [convolutions, linears, batchnorms, elementwise, pools, losses, inputs_, others, signals, moves, repeats,
                attention, activations, broadcasts, regressions, transposed]
    for seed, family in enumerate(families):
        yield from family(Numbers(seed))
