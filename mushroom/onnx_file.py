"""A checkpoint as one ONNX file that needs nothing of this project: a photo in, probabilities and unknown score out.

``photo``, uint8 (height, width, 3), any size, upright RGB. ``probabilities``, float32 (genera,), calibrated, sum to 1;
``unknown_score``, float32 (1,), to be compared with ``unknown_threshold`` of the file's metadata; ``logits``. Metadata
holds the names in order and which checkpoint it is. onnx, onnxscript and onnxruntime are the extra ``export``.
"""

import copy
import io
import json
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image

from mushroom.checkpoint import write_bytes
from mushroom.classifier import Classifier
from mushroom.errors import ExportError
from mushroom.model import GenusNet
from mushroom.texts import SAFETY, third_answer

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""The first in which an image is reduced as Pillow does it: each new pixel from all that it covers."""

PRECISIONS = ("float32", "float16", "int8")
TOLERANCE = {"float32": 0.01, "float16": 0.03, "int8": 0.4}
"""By how much a probability may differ from this program's. Pillow resizes with whole numbers."""

MISSING = "Exporting needs more packages: pip install 'mushroom[export]', or pip install onnx onnxruntime onnxscript."


@dataclass(frozen=True)
class Difference:
    """How an exported file's answers differ from the checkpoint's over some photos.

    ``probability`` is the largest difference of any probability, ``mean`` that of each photo's largest, both 0 to 1;
    ``same_genus`` is the share of photos with the same most probable genus.
    """

    photos: int
    probability: float
    mean: float
    same_genus: float


def onnx_bytes(classifier: Classifier, precision: str = "float32", calibration: Sequence[Image.Image] = ()) -> bytes:
    """The ONNX file of a checkpoint.

    ``calibration``: RGB photos whose values set the ranges of 8 bits. Raises ExportError where a package lacks, the
    network can't be exported, or there is no such photo.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError(MISSING) from error
    network = _network(classifier)
    try:
        if precision == "int8":
            network = _eight_bits(network, classifier, calibration)
        model = _with_photo_and_answers(network, classifier)
        if precision == "float16":
            model = _half(model)
        onnx.checker.check_model(model)
    except ExportError:
        raise
    # Converters and checker raise whatever they like about an operator that they don't know.
    except Exception as error:
        raise ExportError(f"This network can't be exported as {precision}: {str(error).splitlines()[0]}") from error
    return bytes(model.SerializeToString())


def network_bytes(classifier: Classifier) -> bytes:
    """The network alone as an ONNX file: ``images`` (n, 3, px, px) as ``Classifier.to_images`` gives them, to
    ``all_logits`` (n, genera + other genera). Raises ExportError as ``onnx_bytes`` does.
    """
    try:
        return bytes(_network(classifier).SerializeToString())
    except ImportError as error:
        raise ExportError(MISSING) from error


def difference(file: bytes, classifier: Classifier, photos: Sequence[Image.Image]) -> Difference:
    """Run an exported file with ONNX Runtime on RGB photos, and compare its answers with the checkpoint's."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(MISSING) from error
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = np.array([session.run(["probabilities"], {"photo": np.asarray(photo)})[0] for photo in photos])
    expected = np.array([list(answer.probabilities.values()) for answer in classifier.predict(photos)])
    largest = np.abs(found - expected).max(axis=1)
    same_genus = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    return Difference(len(photos), float(largest.max()), float(largest.mean()), same_genus)


def write_onnx(path: Path, classifier: Classifier, photos: Sequence[Image.Image], precision: str) -> Difference:
    """Write the ONNX file, if its answers are the checkpoint's on these photos. Raises ExportError otherwise.

    For 8 bits every other photo sets the ranges, and answers are compared on the rest.
    """
    calibration, compared = (photos[::2], photos[1::2]) if precision == "int8" else ((), photos)
    if not compared:
        raise ExportError("8 bits need two photos or more: name a folder with --photos.")
    file = onnx_bytes(classifier, precision, calibration)
    found = difference(file, classifier, compared)
    if not found.probability <= TOLERANCE[precision]:
        raise ExportError(
            f"The exported file's probabilities differ by up to {found.probability:.3f} from the checkpoint's over "
            f"{found.photos} photos, and {found.same_genus:.1%} have the same genus: it was not written. Try another "
            "--precision."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, file)
    return found


def _network(classifier: Classifier) -> "onnx.ModelProto":
    """The network alone: images (n, 3, px, px), normalised, to logits."""
    import onnx

    side = classifier.preprocessing.input_px
    buffer = io.BytesIO()
    try:
        # The exporter says that a newer one exists, and prints a whole network that it can't export.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _of_one_size(classifier.model, side),
                (torch.zeros(1, 3, side, side),),
                buffer,  # type: ignore[arg-type]
                input_names=["images"],
                output_names=["all_logits"],
                dynamic_axes={"images": {0: "n"}, "all_logits": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
    # The exporter raises whatever it likes about an operator that it does not know.
    except Exception as error:
        raise ExportError(f"{classifier.config.backbone} can't be exported: {str(error).splitlines()[0]}") from error
    return onnx.load_from_string(buffer.getvalue())


def _of_one_size(model: GenusNet, side: int) -> GenusNet:
    """A copy on the CPU whose position embeddings are those of photos of ``side``: ONNX can't resize them as timm does.

    Other networks answer to photos of any size as they are.
    """
    copied = copy.deepcopy(model).cpu()
    if getattr(copied.backbone, "pos_embed", None) is not None and hasattr(copied.backbone, "set_input_size"):
        cast(Any, copied.backbone).set_input_size(img_size=(side, side))
    return copied


def _with_photo_and_answers(network: "onnx.ModelProto", classifier: Classifier) -> "onnx.ModelProto":
    """``network`` with what comes before it, a photo's way to an image, and after it, its logits' way to an answer."""
    from onnx import TensorProto, helper, numpy_helper

    config, preprocessing = classifier.config, classifier.preprocessing
    side, count = preprocessing.input_px, len(classifier.genera)
    mean, std = (np.array(each, np.float32).reshape(1, 3, 1, 1) for each in (preprocessing.mean, preprocessing.std))
    constants: dict[str, np.ndarray] = {
        "axis_0": np.array([0], np.int64),
        "axis_1": np.array([1], np.int64),
        "side": np.array([side], np.int64),
        "black": np.array(0, np.float32),
        "white": np.array(255, np.float32),
        "scale": 1 / (255 * std),
        "shift": mean / std,
        "first": np.array([0], np.int64),
        "genera": np.array([count], np.int64),
        "temperature": np.array(config.temperature, np.float32),
    }
    node = helper.make_node
    before = [
        node("Cast", ["photo"], ["photo_float"], to=TensorProto.FLOAT),
        # Not Transpose: ONNX Runtime would move it behind the resizing, and permutes a size that names its axis.
        node("Einsum", ["photo_float"], ["photo_chw"], equation="hwc->chw"),
        node("Unsqueeze", ["photo_chw", "axis_0"], ["photo_nchw"]),
        *_resized("photo_nchw", "narrow", axis=3),
        *_resized("narrow", "square", axis=2),
        node("Mul", ["square", "scale"], ["scaled"]),
        node("Sub", ["scaled", "shift"], ["images"]),
    ]
    after = [
        node("Slice", ["all_logits", "first", "genera", "axis_1"], ["known_logits"]),
        node("Squeeze", ["known_logits", "axis_0"], ["logits"]),
        node("Div", ["logits", "temperature"], ["calibrated"]),
        node("Softmax", ["calibrated"], ["probabilities"], axis=0),
        node("ReduceLogSumExp", ["known_logits", "axis_1"], ["known"], keepdims=0),
    ]
    if config.logit_count > count:
        constants["all"] = np.array([np.iinfo(np.int64).max], np.int64)
        # The log-odds of all other genera that it knows together: see calibration.unknown_score.
        after += [
            node("Slice", ["all_logits", "genera", "all", "axis_1"], ["other_logits"]),
            node("ReduceLogSumExp", ["other_logits", "axis_1"], ["others"], keepdims=0),
            node("Sub", ["others", "known"], ["unknown_score"]),
        ]
    else:
        after.append(node("Neg", ["known"], ["unknown_score"]))
    weights = [*network.graph.initializer, *(numpy_helper.from_array(value, name) for name, value in constants.items())]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*before, *network.graph.node, *after],
        "mushroom",
        [value("photo", TensorProto.UINT8, ["height", "width", 3])],
        [
            value("probabilities", TensorProto.FLOAT, [count]),
            value("unknown_score", TensorProto.FLOAT, [1]),
            value("logits", TensorProto.FLOAT, [count]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="mushroom")
    model.ir_version = 9
    metadata = {
        "genera": json.dumps(classifier.genera, ensure_ascii=False, allow_nan=False),
        "unknown_threshold": json.dumps(config.unknown_threshold, allow_nan=False),
        "model": config.name,
        "weights_sha256": classifier.weights_sha256,
        "checkpoint_sha256": classifier.identity,
        "third_answer": third_answer(count),
        "safety": SAFETY,
    }
    helper.set_model_props(model, metadata)
    return model


def _resized(given: str, made: str, axis: int) -> "list[onnx.NodeProto]":
    """One of the two passes of Pillow's bicubic: first along the rows (axis 3), then down; each rounds to 8 bits."""
    from onnx import helper

    resize = helper.make_node(
        "Resize",
        [given, "", "", "side"],
        [f"{made}_float"],
        axes=[axis],
        mode="cubic",
        cubic_coeff_a=-0.5,
        antialias=1,
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
    )
    rounded = helper.make_node("Round", [f"{made}_float"], [f"{made}_rounded"])
    return [resize, rounded, helper.make_node("Clip", [f"{made}_rounded", "black", "white"], [made])]


def _half(model: "onnx.ModelProto") -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    # Photos need values up to 255 and answers their digits: only the network between them is halved.
    in_float32 = ["Resize", "Softmax", "ReduceLogSumExp", "Round", "Clip", "Mul", "Sub", "Div", "Cast", "Neg"]
    halved = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=in_float32))
    # The casts that it adds stand at the end, whatever they feed.
    halved.topological_sort()
    return halved.model


def _eight_bits(network: "onnx.ModelProto", classifier: Classifier, calibration: Sequence[Image.Image]) -> Any:
    """Weights in 8 bits by channel, and what flows between operators in 8 bits of the range that photos fill."""
    import tempfile

    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    images = ({"images": classifier.to_images([photo]).numpy()} for photo in calibration)

    class Photos(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(images, None)

    with tempfile.TemporaryDirectory() as folder:
        source, folded, out = (Path(folder) / f"{name}.onnx" for name in ("float", "folded", "int8"))
        source.write_bytes(network.SerializeToString())
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        quantize_static(folded, out, Photos(), per_channel=True, activation_type=QuantType.QUInt8)
        return onnx.load(out)
