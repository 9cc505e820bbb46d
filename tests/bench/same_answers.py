"""Whether an earlier commit gave the same answers with the same weights: ``same_answers.py COMMIT [PHOTOS [MODEL]]``.

Asks this tree and that commit about random photos (real ones where this machine has them, painted ones elsewhere)
and prints the greatest differences of logits, probabilities and heatmaps of all layers. Ends with 1 where one is
greater than ``SAME``.
"""

import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from painted import PAINTED, paint_photos  # noqa: E402

from mushroom.checkpoint import DEFAULT_MODEL  # noqa: E402

SAME = 1e-6
EXPLAINED = 10
"""One of so many photos gets heatmaps of all layers, too."""

ASK = """
import sys
import numpy as np
from mushroom.classifier import Classifier
from mushroom.photos import read_photo_file
from pathlib import Path

folder, out, every, *files = sys.argv[1:]
classifier = Classifier.load(folder)
found = {}
for number, file in enumerate(files):
    photo = read_photo_file(Path(file))
    [answer] = classifier.predict([photo])
    found[f"logits {number}"] = np.array(answer.logits)
    found[f"probabilities {number}"] = np.array([answer.probabilities[genus] for genus in sorted(answer.probabilities)])
    found[f"unknown {number}"] = np.array([answer.unknown, answer.unknown_score])
    if number % int(every) == 0:
        explanation = classifier.explain(photo, layers="all")
        found |= {f"heatmap {number} {name}": heatmap for name, heatmap in explanation.heatmaps.items()}
np.savez(out, **found)
"""


def photos(count: int, painted: Path) -> list[str]:
    """Paths of ``count`` random photos, the same ones every time."""
    folder = Path(os.environ.get("MUSHROOM_DATA", REPOSITORY / ".." / "shared" / "mushrooms"))
    if not folder.is_dir():
        print("No real photos here (MUSHROOM_DATA): painted ones instead.")
        folder = painted
        for genus, colour in PAINTED.items():
            paint_photos(folder / genus, colour, -(-count // len(PAINTED)))
    return random.Random(0).sample(sorted(map(str, folder.resolve().rglob("*.jpg"))), count)


def answers(tree: Path, model: str, files: list[str], out: Path) -> dict[str, np.ndarray]:
    """What ``tree`` says of the photos."""
    command = [sys.executable, "-c", ASK, str(tree / "assets" / "models" / model), str(out), str(EXPLAINED), *files]
    subprocess.run(command, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, check=True)
    return dict(np.load(out))


def main(commit: str, count: str = "100", model: str = DEFAULT_MODEL) -> int:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as earlier:
            earlier.extractall(root / "earlier", filter="data")
        files = photos(int(count), root / "painted")
        before = answers(root / "earlier", model, files, root / "before.npz")
        after = answers(REPOSITORY, model, files, root / "after.npz")
    differences: dict[str, list[float]] = {}
    for name, values in before.items():
        differences.setdefault(name.split()[0], []).append(float(np.abs(after[name] - values).max()))
    for kind, found in differences.items():
        print(f"{kind}: {len(found)} compared, greatest difference {max(found):.3g}")
    added = set(after) - set(before)
    if added:
        print(f"{len(added)} heatmaps are of layers that the earlier commit had not.")
    return int(max(map(max, differences.values())) > SAME)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
