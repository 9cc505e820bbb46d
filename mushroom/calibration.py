"""How logits are read: calibrated probabilities, the unknown score, and the threshold that turns photos away.

Logits are (n, genera + other genera): first those of the genera that are answered, then those of other fungi that
the network knows by name (see ``ModelConfig``), if there are any. Numbers only: nothing here knows a network.
"""

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

MAX_TURNED_AWAY = 0.10
"""The unknown threshold turns away at most this share of known validation photos."""


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities (n, genera), each row summing to 1 (Guo et al. 2017, temperature scaling)."""
    return softmax(np.asarray(logits, np.float64) / temperature, axis=1)


def cross_entropy(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean cross-entropy in nats of logits (n, genera) and class indices (n,)."""
    log_probabilities = log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the cross-entropy of (logits (n, genera), labels (n,)); 1 without photos."""
    if len(labels) == 0:
        return 1.0
    # Only who calibrates waits for it.
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits, labels, float(np.exp(log_temperature)))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def energy(logits: np.ndarray) -> np.ndarray:
    """Unknown score (n,): the free energy of Liu et al. 2020; the higher, the less it looks like any of the genera.

    A network trained with background photos has learned it as the log-odds of background against the genera.
    """
    return -logsumexp(np.asarray(logits, np.float64), axis=1)


def max_logit(logits: np.ndarray) -> np.ndarray:
    """Unknown score (n,): minus the largest logit (Hendrycks et al. 2022)."""
    return -np.max(np.asarray(logits, np.float64), axis=1)


def max_probability(logits: np.ndarray) -> np.ndarray:
    """Unknown score (n,): minus the largest probability (Hendrycks and Gimpel 2017)."""
    return -np.max(softmax(np.asarray(logits, np.float64), axis=1), axis=1)


UNKNOWN_SCORES = {"energy": energy, "max_logit": max_logit, "max_probability": max_probability}
"""Scores from the logits of the genera alone; the report measures each of them."""


def unknown_score(logits: np.ndarray, genera: int | None = None) -> np.ndarray:
    """The unknown score in use (n,); compare it with a checkpoint's ``unknown_threshold``.

    Of a network that answers with its first ``genera`` logits and knows other fungi by the rest, it is the log-odds
    of all others together against all genera together; of any other network, the energy.
    """
    values = np.asarray(logits, np.float64)
    if genera is None or genera >= values.shape[1]:
        return energy(values)
    return logsumexp(values[:, genera:], axis=1) - logsumexp(values[:, :genera], axis=1)


def fit_unknown_threshold(known_scores: np.ndarray, turned_away: float = MAX_TURNED_AWAY) -> float | None:
    """The smallest threshold above which at most a share ``turned_away`` of these known photos lies, or None.

    The lower it is, the more other fungi are caught: so this is the point that a visitor with a known mushroom can
    just bear. None without photos.
    """
    if not len(known_scores):
        return None
    ordered = np.sort(np.asarray(known_scores, np.float64))
    allowed = int(np.floor(turned_away * len(ordered) + 1e-9))
    return float(ordered[len(ordered) - 1 - allowed])
