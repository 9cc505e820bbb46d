"""The photo under one layer's heatmap, with its controls, and the film strip of all layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from mushroom.app import components, cropping, downloads, layout, models, predictions, records, url_state
from mushroom.app.subject import VIEW_PX, Subject, enlarged, shrunk

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation
    from mushroom.explain.layers import Layer

FRAME_PX = 200
"""Longest side of a picture in the film strip, for screens that are twice as fine."""

COLOUR_TITLES = {"even": "Even steps (Inferno)", "jet": "Rainbow (Jet)"}
OPACITIES = [str(number) for number in range(0, 101, 5)]
SHOWN_LAYERS = {"stages": "The ends of the stages", "all": "All layers"}


@st.fragment(key="viewer")
def show(
    stage: DeltaGenerator, subject: Subject, photo: Image.Image, explanation: "Explanation", classifier: "Classifier"
) -> None:
    """The photo with one layer's heatmap over it, and the film strip. Nothing here asks the network."""
    if url_state.chosen("method") != explanation.method or url_state.chosen("crop") != (
        subject.crop.text if subject.crop else None
    ):
        # Only the whole page can ask the network for other heatmaps.
        st.rerun()
    layer = chosen_layer(explanation)
    with stage:
        picture = st.container(key="picture")
        legend = st.container()
        strip = st.container()
        buttons = st.container(horizontal=True)
        opacity = _sliders(explanation, layer)
        with buttons:
            cropping.show_button(subject, photo, explanation, layer, classifier)
            colours = _more(explanation, classifier)
            downloads.show_button(subject, explanation, classifier, layer, opacity, colours)
            _trust(classifier, explanation.layers)
            _share(subject)
    with picture:
        title = {"upload": "Your photo", "drawing": f"Drawing {subject.title}", "test": "Test photo"}[subject.origin]
        seen = cropping.over_whole(photo, explanation.heatmaps[layer.name], subject.crop, opacity, colours)
        st.image(
            components.jpeg(enlarged(seen, VIEW_PX)),
            width="stretch",
            alt=f"{title}, with the heatmap of what speaks for {explanation.genus}",
        )
    with legend:
        if explanation.has_evidence[layer.name]:
            _scale(colours)
        else:
            st.info(f"In this layer nothing speaks for {layout.escaped(explanation.genus)}: the heatmap is empty.")
    with strip:
        frames = _frames(subject, photo, explanation, layer, opacity or 0.5, colours)
        components.film_strip(frames, layer.name, _choose_layer)


def chosen_layer(explanation: "Explanation") -> "Layer":
    """The layer that the visitor chose, else the network's default one."""
    from mushroom.explain.layers import default_layer

    layers = {layer.name: layer for layer in explanation.layers}
    default = default_layer(explanation.layers).name
    numbers = {name: number for number, name in enumerate(layers, start=1)}

    def title(name: str) -> str:
        return f"layer {numbers[name]} of {len(layers)}, {layers[name].label}"

    return layers[str(url_state.choice("layer", list(layers), default, what="layer", title=title))]


def _choose_layer(name: str) -> None:
    url_state.choose("layer", name)
    _redraw()


def _redraw() -> None:
    """Draw the viewer again, and the open question under it, whose pictures are of the same layer and colours."""
    st.rerun(["viewer", "panels"])


# --- Controls -----------------------------------------------------------------------------------------------


def _sliders(explanation: "Explanation", layer: "Layer") -> float:
    """The layer, and how much of the heatmap is seen: 0 to 1."""
    numbers = {each.name: number for number, each in enumerate(explanation.layers, start=1)}
    first, second = st.columns(2)
    with first:
        st.select_slider(
            "Layer, from early to late",
            list(numbers),
            format_func=lambda name: f"{numbers[name]} of {len(numbers)}",
            # Another network's layers are called alike and are others.
            **url_state.widget("layer", layer.name, of=str(len(numbers)), then=_redraw),
        )
    with second:
        opacity = int(str(url_state.choice("opacity", OPACITIES, "50", what="opacity")))
        st.slider("Opacity of the heatmap", 0, 100, step=5, format="%d %%", **url_state.widget("opacity", opacity))
    st.caption(
        f"**{layer.label[:1].upper()}{layer.label[1:]}.** This layer sees the photo as {layer.width}\u00a0×\u00a0"
        f"{layer.height} points."
    )
    return opacity / 100


def _scale(colours: str) -> None:
    from mushroom.explain import overlays

    stops = ", ".join(overlays.css_colours(colours))
    st.html(
        f'<p class="scale"><span>speaks little for it</span><i style="background:linear-gradient(90deg,{stops})"></i>'
        "<span>speaks most for it</span></p>"
    )


def _more(explanation: "Explanation", classifier: "Classifier") -> str:
    """Model, method, colours and layers, behind one button; returns the colours."""
    from mushroom.explain import overlays
    from mushroom.explain.methods import METHODS, why_not

    chosen = url_state.choice(
        "colours", list(overlays.COLOUR_MAPS), overlays.DEFAULT_COLOURS, what="colours", title=_colour_title
    )
    with st.popover("More", icon=":material/tune:"):
        models.choose_checkpoint()
        st.selectbox(
            "Method",
            predictions.methods(classifier),
            format_func=lambda key: METHODS[key].title,
            **url_state.widget("method", explanation.method),
        )
        st.caption(METHODS[explanation.method].explanation)
        for key in sorted(METHODS.keys() - set(classifier.methods)):
            st.caption(str(why_not(key, tokens=True)))
        st.selectbox(
            "Colours",
            list(overlays.COLOUR_MAPS),
            format_func=_colour_title,
            **url_state.widget("colours", chosen, then=_redraw),
        )
        url_state.segments("Film strip", "strip", SHOWN_LAYERS, "stages", what="film strip")
    return str(url_state.chosen("colours"))


def _colour_title(name: str) -> str:
    return COLOUR_TITLES.get(name, name)


def _trust(classifier: "Classifier", layers: "tuple[Layer, ...]") -> None:
    """Which layer was measured to be the most faithful, and a button that goes there."""
    from mushroom.explain.methods import METHODS

    names = [layer.name for layer in layers]
    with st.popover("Which layer should I trust?", icon=":material/verified:"):
        best = records.most_faithful(classifier.folder, predictions.methods(classifier))
        if best is None or best.layer not in names:
            st.markdown("For this network that has not been measured yet.")
            return
        title = METHODS[best.method].title
        st.markdown(
            f"**Layer {names.index(best.layer) + 1} of {len(names)} with {title}.** On {best.sample} test "
            "photos, the parts that these heatmaps call important were covered and uncovered again. Of all layers "
            "and of the methods under More, these changed the network's answer the way true reasons should."
        )
        st.button("Show it", on_click=_show_best, args=(best,), key="show_best")


def _show_best(best: records.MostFaithful) -> None:
    url_state.choose("layer", best.layer)
    url_state.choose("method", best.method)


def _share(subject: Subject) -> None:
    """The link to what is on the page."""
    # Drawn when it is pressed: the questions under the answer change the link, too.
    with (place := st.popover("Share", icon=":material/link:", key="share", on_change="rerun")):
        if not place.open:
            return
        if subject.origin == "upload":
            st.markdown(
                "Your photo stays in this session. A link to it would show nobody anything: download it instead."
            )
            return
        st.markdown(
            "This link shows what you see: photo, part, model, layer, method, colours, and the open "
            "question with what you chose in it."
        )
        st.code(link(st.context.url or "", st.query_params.to_dict()), language=None, wrap_lines=True)


def link(address: str, choices: Mapping[str, str]) -> str:
    """The page's address with the choices, as text to send."""
    from urllib.parse import urlencode

    # A bare host gets its slash: not every program takes it for a link without.
    page = address.partition("?")[0]
    page += "/" if page.count("/") == 2 else ""
    return f"{page}?{urlencode(choices)}" if choices else page


# --- Film strip ---------------------------------------------------------------------------------------------


def _frames(
    subject: Subject, photo: Image.Image, explanation: "Explanation", chosen: "Layer", opacity: float, colours: str
) -> list[components.Frame]:
    """The film strip's pictures: of the ends of the stages and the chosen layer, or of all layers.

    This session remembers the last ones: another layer does not change them.
    """
    every = url_state.chosen("strip") == "all"
    shown = tuple(
        layer.name
        for layer in explanation.layers
        if layer.stage_end or layer.last_convolution or layer == chosen or every
    )
    made_of = (subject.key, explanation.genus, explanation.method, opacity, colours, explanation.layers, shown)
    remembered = st.session_state.get("frames")
    if remembered is None or remembered[0] != made_of:
        small = shrunk(photo, FRAME_PX)
        frames = [
            components.Frame(
                name=layer.name,
                label=f"{number} · {layer.label.split(': ')[0]}",
                caption=layer.label.split(": ")[-1]
                if explanation.has_evidence[layer.name]
                else "nothing speaks for it",
                address=components.data_url(
                    cropping.over_whole(small, explanation.heatmaps[layer.name], subject.crop, opacity, colours)
                ),
            )
            for number, layer in enumerate(explanation.layers, start=1)
            if layer.name in shown
        ]
        remembered = st.session_state["frames"] = (made_of, frames)
    return remembered[1]
