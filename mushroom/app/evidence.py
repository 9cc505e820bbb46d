"""For and against: what speaks for a name and what against it, in two colours, the hottest parts outlined."""

from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from mushroom.app import components, url_state
from mushroom.app.layout import escaped
from mushroom.app.subject import Subject
from mushroom.app.viewer import chosen_layer

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation

PERCENTAGES = [str(number) for number in range(0, 61, 5)]
DEFAULT_PERCENT = "20"


def show(subject: Subject, photo: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    """The photo, as the network saw it, under evidence of both signs of the chosen layer."""
    from mushroom.explain import overlays, regions
    from mushroom.explain.methods import METHODS

    genus = escaped(explanation.genus)
    if not METHODS[explanation.method].both_signs:
        st.caption(
            f"{METHODS[explanation.method].title} finds only what speaks for a name. Choose Grad-CAM or another method "
            "with both signs under More."
        )
    layer = chosen_layer(explanation)
    percent = int(str(url_state.choice("outline", PERCENTAGES, DEFAULT_PERCENT, what="outlined part")))
    st.slider(
        "Outline the hottest part of the photo", 0, 60, step=5, format="%d %%", **url_state.widget("outline", percent)
    )
    only = url_state.choice("only", ("True", "False"), "False", what="part to colour") == "True"
    if percent:
        st.toggle("Colour only the hottest part", **url_state.widget("only", only))
    evidence, heatmap = explanation.evidence[layer.name], explanation.heatmaps[layer.name]
    left, right = st.columns([3, 2], gap="large")
    with left:
        mask = regions.hottest_mask(heatmap, percent, photo.size) if only and percent else None
        picture = overlays.in_two_colours(photo, evidence, mask)
        found = regions.hottest_regions(heatmap, percent, photo.size)
        st.image(
            components.jpeg(overlays.outlined(picture, heatmap, percent)),
            width="stretch",
            alt=f"What speaks for {explanation.genus} in orange, what speaks against it in blue",
        )
    with right:
        st.html(
            f'<p class="signs"><span><i style="background:rgb{overlays.FOR}"></i>speaks for it</span>'
            f'<span><i style="background:rgb{overlays.AGAINST}"></i>speaks against it</span></p>'
        )
        speaks_for, against = regions.shares_of_evidence(evidence)
        most_probable = explanation.genus == explanation.prediction.genus
        st.markdown(balance(genus, speaks_for, against, most_probable=most_probable))
        if percent and found:
            parts = "one part" if len(found) == 1 else f"{len(found)} parts"
            st.markdown(f"The hottest {percent} % of the photo are {parts}, outlined in white.")
        elif percent:
            st.markdown(f"In this layer nothing speaks for *{genus}*: there is nothing to outline.")
        st.caption("Download > Numbers has every outlined part's place, for every layer.")


def balance(genus: str, speaks_for: float, against: float, *, most_probable: bool) -> str:
    """What the two shares of the evidence, in [0, 1], come to, as Markdown."""
    sentence = (
        f"Of the evidence in this layer, **{speaks_for:.0%}** speaks for *{genus}*, **{against:.0%}** against it."
    )
    if against > speaks_for and most_probable:
        sentence += " It is the most probable all the same: every other gets still less."
    return sentence
