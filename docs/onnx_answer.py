"""What is on a photo, with an exported ONNX file alone: ``python docs/onnx_answer.py mushroom.onnx PHOTO``.

Needs onnxruntime, numpy and pillow, and nothing of this project.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main(model: str, path: str) -> int:
    """Print the answer as a JSON line."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    probabilities, score, _ = session.run(["probabilities", "unknown_score", "logits"], {"photo": np.asarray(photo)})
    genera, threshold = json.loads(metadata["genera"]), json.loads(metadata["unknown_threshold"])
    answer = {
        "photo": path,
        "genus": genera[int(probabilities.argmax())],
        "confidence": float(probabilities.max()),
        "probabilities": dict(zip(genera, probabilities.tolist(), strict=True)),
        "unknown": threshold is not None and float(score[0]) > threshold,
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
