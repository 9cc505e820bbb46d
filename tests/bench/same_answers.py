"""Whether an earlier commit gave the same answers with the same weights: ``same_answers.py COMMIT [PHOTOS [MODEL]]``.

Asks this tree and that commit about photos (real ones where this machine has them, painted ones elsewhere)
and prints the greatest differences of logits, probabilities and heatmaps of all layers. Ends with 1 where one is
greater than ``SAME``.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from all_benches import REPOSITORY, earlier_tree, run_in, some_photos

from mushroom.checkpoint import DEFAULT_MODEL

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


def answers(tree: Path, model: str, files: list[str], out: Path) -> dict[str, np.ndarray]:
    """What ``tree`` says of the photos."""
    run_in(tree, ASK, tree / "assets" / "models" / model, out, EXPLAINED, *files)
    return dict(np.load(out))


def main(commit: str, count: str = "100", model: str = DEFAULT_MODEL) -> int:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        files = some_photos(int(count), root / "painted")
        before = answers(earlier_tree(commit, root / "earlier"), model, files, root / "before.npz")
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
