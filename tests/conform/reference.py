"""Makes reference.h5, the values of PyTorch that Lockstep is held to, beside this script.

    python3 tests/conform/reference.py [FILE]      needs torch, numpy, h5py; about a minute

Everything is f64 in Lockstep's memory order (NHWC, weights OHWI), but for inputs that are integers or f32 by nature.

    /                                         versions of what made it
    /ops/<case>                               op, its attributes by name, "list", "control.seed" …
    /ops/<case>/in<k> out<k> dy gradient<k>   a tensor's attribute "shape" is its shape in meaning (NCHW); none: a scalar
    /ops/<case>/mean_before var_before …      running statistics before and after a training step
    /models/<model>/initial/<name>            digest of an initial parameter or running statistic
    /models/<model>/gradient                  recipe, rate; loss [1]; params: the gradients
    /models/<model>/sgd  adamw  lars  lamb    recipe, rate; loss [20]; params, states: how far each one moved
    …/params/<name>  states/<name>            digest: 2-norm, four sums with random signs, up to 32 values
    …                                         "strayed": how far PyTorch goes from this in f32, a 2-norm; of a
                                              loss, the largest difference
"""

import pathlib
import sys

import h5py
import numpy as np
import torch

import reference_models
import reference_ops


def write_tensor(group, name, tensor, channels_first=False):
    array = reference_ops.lie(tensor.detach(), channels_first).contiguous().numpy()
    dataset = group.create_dataset(name, data=array, track_times=False)
    if array.ndim:
        dataset.attrs["shape"] = np.array(tensor.shape, np.int64)


def write_case(group, case):
    group.attrs["op"] = case.op
    for name, value in case.attrs.items():
        group.attrs[name] = np.array(value, np.float64) if isinstance(value, list) else value
    for k, tensor in enumerate(case.inputs):
        write_tensor(group, f"in{k}", tensor, case.attrs.get("channels_first", 0))
    for k, tensor in enumerate(case.outputs):
        write_tensor(group, f"out{k}", tensor)
    if case.dy is not None:
        write_tensor(group, "dy", case.dy)
    for k, tensor in case.gradients.items():
        write_tensor(group, f"gradient{k}", tensor)
    for name, tensor in case.running.items():
        write_tensor(group, name, tensor)


def write_digests(group, vectors, strayed):
    for name, vector in vectors.items():
        dataset = group.create_dataset(name, data=reference_models.digest(vector), track_times=False)
        dataset.attrs["strayed"] = strayed[name]


def write_result(group, result):
    group.attrs["recipe"], group.attrs["rate"] = result.recipe, result.rate
    group.create_dataset("loss", data=result.losses, track_times=False).attrs["strayed"] = result.loss_strayed
    for kind, (vectors, strayed) in result.vectors.items():
        write_digests(group.create_group(kind), vectors, strayed)


def report(model, what, result):
    relative = [strayed[name] / reference_models.norm_of(vector)
                for vectors, strayed in result.vectors.values() for name, vector in vectors.items() if vector.any()]
    print(f"{model.name} {what}: loss {result.losses[0]:.6f} to {result.losses[-1]:.6f}; f32 strays by "
          f"{result.loss_strayed:.1e} in the loss, {min(relative):.1e} to {max(relative):.1e} of vectors")


def main():
    here = pathlib.Path(__file__).resolve().parent
    path = sys.argv[1] if len(sys.argv) > 1 else here / "reference.h5"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs["torch"], file.attrs["numpy"] = str(torch.__version__), np.__version__
        file.attrs["made by"] = "tests/conform/reference.py"
        for case in reference_ops.cases():
            write_case(file.create_group(f"ops/{case.name}"), case)
        for model, what, result in reference_models.results():
            group = file.require_group(f"models/{model.name}")
            if "initial" not in group:
                initial = {item.name: item.initial(model.seed) for item in model.params + model.states}
                write_digests(group.create_group("initial"), initial, dict.fromkeys(initial, 0.0))
            write_result(group.create_group(what), result)
            report(model, what, result)
    print(f"{path}: {pathlib.Path(path).stat().st_size} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
