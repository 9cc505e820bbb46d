"""Ways from a feature map to evidence: Grad-CAM and its kin, small functions with a paper each.

Each takes feature maps (B, C, h, w), and all but Eigen-CAM what else they need: the gradient of the target's logit
by the feature map, of the same shape, or scores of masked photos. Each gives evidence (B, h, w) of any sign and
size; ``normalise`` makes heatmaps of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mushroom.explain.layers import Layer


def _weighted_sum(weights: Tensor, feature_map: Tensor) -> Tensor:
    """Sum of the channels (B, C, h, w), each times its weight (B, C)."""
    height, width = feature_map.shape[2:]
    return torch.bmm(weights.unsqueeze(1), feature_map.flatten(2)).view(-1, height, width)


def grad_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM: channels weighted by their mean gradient.

    Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization".
    """
    return _weighted_sum(gradient.mean((2, 3)), feature_map)


def grad_cam_plus_plus(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++: channels weighted by their positive gradients, where several places may share the credit.

    Chattopadhay et al. 2018, "Grad-CAM++: Generalized Gradient-based Visual Explanations", equation 19. Its
    alpha = g^2 / (2 g^2 + S g^3), S being the channel's sum, is 1 / (2 + S g) wherever g is not zero: written
    this way it needs no small constant that would drown small gradients.
    """
    denominator = 2 + feature_map.sum((2, 3), keepdim=True) * gradient
    alpha = torch.where(denominator == 0, 0, 1 / denominator)
    return _weighted_sum((alpha * gradient.relu()).sum((2, 3)), feature_map)


def hires_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM: gradient times feature map at every place, so no place lends its weight to another.

    Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of CNNs".
    """
    return (gradient * feature_map).sum(1)


def xgrad_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM: channels weighted by their gradients' mean, in which active places count for more.

    Fu et al. 2020, "Axiom-based Grad-CAM". A channel whose values sum to zero gets no weight.
    """
    total = feature_map.sum((2, 3))
    weights = (gradient * feature_map).sum((2, 3)) / total
    return _weighted_sum(torch.where(total == 0, 0, weights), feature_map)


def layer_cam(feature_map: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM: positive gradient times feature map at every place; made for early layers too.

    Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization".
    """
    return (gradient.relu() * feature_map).sum(1)


def eigen_cam(feature_map: Tensor) -> Tensor:
    """Eigen-CAM: what the channels have most in common; asks for no genus.

    Muhammad and Yeasin 2020, "Eigen-CAM: Class Activation Map using Principal Components": the projection of
    the feature map on its first right singular vector, without centring. A singular vector has no sign of its
    own: the strongest place counts as positive.
    """
    height, width = feature_map.shape[2:]
    places = feature_map.flatten(2).transpose(1, 2)
    # MPS knows neither float64 nor eigenvectors.
    places = (places.cpu() if places.device.type == "mps" else places).double()
    if height * width < places.shape[2]:
        # The smaller of both Gram matrices has the same first eigenvalue and costs less.
        strengths, vectors = torch.linalg.eigh(places @ places.transpose(1, 2))
        projection = vectors[..., -1] * strengths[..., -1:].clamp_min(0).sqrt()
    else:
        vectors = torch.linalg.eigh(places.transpose(1, 2) @ places)[1]
        projection = (places @ vectors[..., -1:]).squeeze(-1)
    strongest = projection.gather(1, projection.abs().argmax(1, keepdim=True))
    return (projection * strongest.sign()).float().view(-1, height, width).to(feature_map.device)


def score_cam(feature_map: Tensor, masked_scores: Tensor) -> Tensor:
    """Score-CAM: channels weighted by the score of the photo seen through them, (B, C); no gradients.

    Wang et al. 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks". The
    unmasked photo's score, which the paper subtracts, cancels in its softmax over channels.
    """
    return _weighted_sum(masked_scores.softmax(1), feature_map)


@dataclass(frozen=True)
class Method:
    """A way from feature map to evidence: ``evidence(feature_map)``, or with what it ``needs`` as second argument.

    ``both_signs`` says that negative evidence speaks against the target; without, the method knows only what speaks
    for it. ``not_for_tokens`` is why the method makes no sense for a transformer's tokens, empty where it does.
    """

    title: str
    evidence: Callable[..., Tensor]
    explanation: str
    needs: Literal["gradient", "masked scores", "nothing"] = "gradient"
    contrasts: bool = False
    both_signs: bool = False
    not_for_tokens: str = ""


TOTALS_OF_TOKENS = (
    "it divides by how strong a pattern is over the whole photo. A transformer's numbers are as often negative as "
    "positive, so that this total can be next to nothing, of either sign, and its weights mean nothing."
)


METHODS: Mapping[str, Method] = {
    "gradcam": Method("Grad-CAM", grad_cam, "Which patterns speak for it, and where they are.", both_signs=True),
    "gradcam++": Method(
        "Grad-CAM++",
        grad_cam_plus_plus,
        "Like Grad-CAM, but better at showing several mushrooms in one photo.",
        not_for_tokens=TOTALS_OF_TOKENS,
    ),
    "hirescam": Method("HiResCAM", hires_cam, "Only places that themselves raised its score.", both_signs=True),
    "xgradcam": Method(
        "XGrad-CAM",
        xgrad_cam,
        "Like Grad-CAM, but places where a pattern is strong count for more.",
        both_signs=True,
        not_for_tokens=TOTALS_OF_TOKENS,
    ),
    "layercam": Method("LayerCAM", layer_cam, "Fine detail: every place judged by itself, also in early layers."),
    "eigencam": Method("Eigen-CAM", eigen_cam, "What stands out to the network, whatever is asked.", needs="nothing"),
    "scorecam": Method(
        "Score-CAM",
        score_cam,
        "Shows the photo through each pattern and keeps what scores; slow.",
        needs="masked scores",
    ),
    "contrastive": Method(
        "Contrastive",
        grad_cam,
        "Why this name rather than another: evidence for one against the other.",
        contrasts=True,
        both_signs=True,
    ),
}
"""The methods by key. ``contrastive`` is Grad-CAM of the difference of two scores, after Zhang et al. 2025,
"Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation", with one reference."""


def why_not(method: str, *, tokens: bool) -> str | None:
    """Why the method (a key of ``METHODS``) makes no sense for a layer of ``tokens`` or of maps; None where it does."""
    reason = METHODS[method].not_for_tokens if tokens else ""
    if not reason:
        return None
    able = ", ".join(key for key, value in METHODS.items() if not value.not_for_tokens)
    return f"{METHODS[method].title} makes no sense in a transformer: {reason} Choose from {able}."


def methods_for(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Keys of the methods that make sense at every one of these layers."""
    kinds = {layer.tokens for layer in layers}
    return tuple(key for key in METHODS if not any(why_not(key, tokens=tokens) for tokens in kinds))


def normalise(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Evidence (B, h, w) as heatmaps, float32 in [0, 1], and whether there was any positive, bool (B,).

    What speaks against the target is cut off and the rest divided by its maximum. Without positive evidence,
    or where a value is not finite, the heatmap is all zeros.
    """
    evidence = evidence.float()
    lowest, highest = evidence.flatten(1).aminmax(dim=1)
    has_evidence = (highest > 0) & (highest < torch.inf) & (lowest > -torch.inf)
    divisor = torch.where(has_evidence, highest, 1)[:, None, None]
    maps = torch.where(has_evidence[:, None, None], evidence.relu() / divisor, 0)
    return maps, has_evidence
