"""Resize along one axis as a matrix, as ONNX defines it: https://onnx.ai/onnx/operators/onnx__Resize.html"""

from typing import TYPE_CHECKING, Any

from opcompat.workarounds import Refused

if TYPE_CHECKING:
    from opcompat.workarounds._edit import Edit


def _positions(size: int, made: int, scale: float, how: str) -> Any:
    """Return where each of the `made` outputs lies on the input's axis of `size`, as float64."""
    import numpy as np

    at = np.arange(made, dtype=np.float64)
    if how == "align_corners":
        return at * (size - 1) / (made - 1) if made > 1 else at
    if how == "asymmetric":
        return at / scale
    if how == "pytorch_half_pixel" and made == 1:
        return at * 0 - 0.5
    middle = size / 2 * (1 - made / (scale * size)) if how == "half_pixel_symmetric" else 0.0
    return middle + (at + 0.5) / scale - 0.5


def _kernel(mode: str, far: Any, a: float) -> Any:
    """Return the weight of an element `far` away."""
    import numpy as np

    far = np.abs(far)
    if mode == "linear":
        return np.maximum(1 - far, 0)
    near = ((a + 2) * far - (a + 3)) * far * far + 1
    return np.where(far <= 1, near, np.where(far < 2, ((far - 5) * far + 8) * far * a - 4 * a, 0))


def matrix(size: int, made: int, scale: float, given: dict[str, Any]) -> Any:
    """Return the [made, size] matrix that resizes an axis; of mode nearest each row holds a single 1."""
    import numpy as np

    mode = given.get("mode", "nearest")
    at = _positions(size, made, scale, given.get("coordinate_transformation_mode", "half_pixel"))
    found = np.zeros((made, size))
    rows = np.arange(made)
    if mode == "nearest":
        way = given.get("nearest_mode", "round_prefer_floor")
        whole = {"floor": np.floor(at), "ceil": np.ceil(at), "round_prefer_ceil": np.floor(at + 0.5)}.get(way, np.ceil(at - 0.5))
        found[rows, np.clip(whole, 0, size - 1).astype(int)] = 1
        return found
    shrink = min(scale, 1.0) if given.get("antialias", 0) else 1.0
    reach = int(np.ceil((1 if mode == "linear" else 2) / shrink))
    for step in range(-reach, reach + 1):
        place = np.floor(at).astype(int) + step
        weight = _kernel(mode, (at - place) * shrink, given.get("cubic_coeff_a", -0.75))
        if given.get("exclude_outside", 0):
            weight = np.where((place >= 0) & (place < size), weight, 0)
        np.add.at(found, (rows, np.clip(place, 0, size - 1)), weight)
    return found / found.sum(1, keepdims=True)


def matrices(edit: "Edit") -> tuple[str, list[tuple[int, Any]]]:
    """Return the mode of a Resize or Upsample and (axis, matrix) for every axis it resizes. Refuses what no constant matrix expresses."""
    node, old = edit.node, edit.node.op_type == "Upsample" or edit.opset < 11
    shape = edit.static(node.input[0])
    given = edit.attributes("scales", "axes")
    if given.get("coordinate_transformation_mode") in ("tf_crop_and_resize", "tf_half_pixel_for_nn"):
        raise Refused("its coordinates depend on a region, or left the standard")
    if old:
        given |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        given["mode"] = {"bilinear": "linear", "trilinear": "linear"}.get(given.get("mode", "nearest"), given.get("mode", "nearest"))
    scales = edit.attribute("scales") or edit.numbers(1 if old else 2)
    sizes = None if old or scales else edit.numbers(3)
    axes = [a % len(shape) for a in edit.attribute("axes") or range(len(shape))]
    if not scales and not sizes:
        raise Refused("it has neither scales nor sizes")
    policy = given.get("keep_aspect_ratio_policy", "stretch")
    if sizes and policy != "stretch":
        ratios = [s / shape[a] for s, a in zip(sizes, axes, strict=True)]
        scales = [min(ratios) if policy == "not_larger" else max(ratios)] * len(axes)
    found = []
    for k, axis in enumerate(axes):
        size = shape[axis]
        scale = scales[k] if scales else sizes[k] / size  # type: ignore[index]
        made = int(size * scale + (0.5 if sizes else 1e-6)) if scales else int(sizes[k])  # type: ignore[index]
        if not size or not made:
            raise Refused("an axis is empty")
        if made != size or scale != 1:
            found.append((axis, matrix(size, made, scale, given)))
    return given.get("mode", "nearest"), found
