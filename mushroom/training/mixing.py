"""Batches whose photos are mixed in pairs: blended (mixup) or with a part of one pasted on the other (CutMix)."""

import math

import torch

BLEND = 0.4
"""Of mixup's beta distribution: most blends are nearly one of the two."""


def mixed(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Views (n, 3, h, w) mixed in pairs, the index (n,) of each one's partner, and the share that is not the partner's.

    Half of all batches are blended (Zhang et al. 2018, "mixup"), in the others a box of the partner is pasted (Yun et
    al. 2019, "CutMix"). Randomness is torch's own.
    """
    partner = torch.randperm(len(views))
    theirs = views[partner.to(views.device)]
    if torch.rand(()) < 0.5:
        share = float(torch.distributions.Beta(BLEND, BLEND).sample())
        return share * views.float() + (1 - share) * theirs.float(), partner, share
    height, width = views.shape[2:]
    side = math.sqrt(1 - float(torch.rand(())))
    box_height, box_width = round(height * side), round(width * side)
    top = int(torch.randint(height - box_height + 1, ()))
    left = int(torch.randint(width - box_width + 1, ()))
    pasted = views.clone()
    part = (slice(None), slice(None), slice(top, top + box_height), slice(left, left + box_width))
    pasted[part] = theirs[part]
    return pasted, partner, 1 - box_height * box_width / (height * width)
