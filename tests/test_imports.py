"""The direction of imports: each room uses only the rooms the design allows it, and only pages know Streamlit."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mushroom"

ALLOWED: dict[str, set[str]] = {
    "genera": set(),
    "photos": set(),
    "texts": set(),
    "checkpoints": set(),
    "metrics": set(),
    "gradcam": set(),
    "recipes": set(),
    "dataset": {"photos", "genera"},
    "model": {"genera", "checkpoints"},
    "faithfulness": {"gradcam"},
    "overlays": {"genera", "photos"},
    "training": {"checkpoints", "dataset", "model", "metrics", "photos", "genera", "recipes"},
    "classifier": {"checkpoints", "hub", "photos", "model", "gradcam", "faithfulness", "metrics", "genera"},
    "hub": {"checkpoints", "dataset", "model", "metrics"},
    "evaluation": {
        "checkpoints",
        "classifier",
        "dataset",
        "faithfulness",
        "gradcam",
        "hub",
        "metrics",
        "model",
        "photos",
    },
    "agreement": {"checkpoints", "classifier", "dataset", "genera", "metrics", "model", "overlays", "photos"},
    "probe": {"dataset", "model", "recipes", "training"},
    "blending": {"model", "probe", "recipes", "training"},
    "trials": {"dataset", "genera", "metrics", "model", "probe", "recipes"},
    "learning_curves": {"checkpoints", "dataset", "genera", "metrics", "probe", "recipes"},
    "figures": {"genera", "texts"},
    "streaming": {"classifier", "photos"},
    "many_machines": {"classifier", "streaming"},
    "predict_command": {"checkpoints", "texts", "classifier", "genera", "many_machines", "model", "streaming"},
    "explain_command": {
        "texts",
        "classifier",
        "photos",
        "genera",
        "model",
        "gradcam",
        "faithfulness",
        "overlays",
        "figures",
    },
    "pages": {
        "agreement",
        "checkpoints",
        "texts",
        "classifier",
        "dataset",
        "faithfulness",
        "figures",
        "hub",
        "genera",
        "photos",
        "overlays",
        "gradcam",
        "metrics",
        "model",
    },
    "__main__": {"predict_command", "explain_command"},
    "__init__": set(),
}


def room_of(path: Path) -> str:
    return "pages" if path.parent.name == "pages" else path.stem


def imported_modules(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def own_rooms(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported_modules(path))
    return {part[1] for part in parts if part[0] == "mushroom" and len(part) > 1}


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_design_allows(path: Path) -> None:
    room = room_of(path)
    rooms = {name for name in own_rooms(path) if (PACKAGE / f"{name}.py").exists() or name == "pages"}
    assert rooms - {room} <= ALLOWED[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_pages_know_streamlit_and_only_training_knows_an_optimizer(path: Path) -> None:
    names = imported_modules(path)
    if room_of(path) != "pages":
        assert not any(name.split(".")[0] == "streamlit" for name in names)
    if room_of(path) != "training":
        assert not any(name.startswith(("torch.optim", "timm.optim")) for name in names)


def test_gradcam_knows_torch_only_and_metrics_no_torch() -> None:
    def outside(room: str) -> set[str]:
        return {name.split(".")[0] for name in imported_modules(PACKAGE / f"{room}.py")}

    assert not outside("metrics") & {"torch", "timm", "torchvision", "pandas", "PIL"}
    assert not outside("gradcam") & {"PIL", "cv2", "pandas", "plotly", "sklearn"}
