"""The style of all pages: what Streamlit's theme cannot say.

Text is never fainter than 4.5:1 on the page, in light and dark; tests/browser/test_accessibility.py measures it.
"""

STYLE = """
<style>
/* Popovers and dialogs lie beside the app: they are as light or dark as the browser, as the app itself is. */
:root { color-scheme: light dark; --quiet: light-dark(#55504a, #b9b6ae); --right: light-dark(#1f6b48, #7fc09c);
  --wrong: light-dark(#a8480b, #f0a860);
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "Times New Roman", serif; }
/* Room to breathe, and lines no longer than the eye likes. */
[data-testid="stMainBlockContainer"] { max-width: 76rem; padding-top: 4.5rem; padding-bottom: 4rem; }
/* The safety sentence stays in sight however far a visitor scrolls: under Streamlit's own bar, over the page. */
[data-testid="stElementContainer"]:has(.safety) { position: sticky; top: 3.75rem; z-index: 50;
  background: light-dark(#fbfaf6, #161917); }
.safety { display: flex; gap: .6rem; align-items: baseline; margin: 0; padding: .55rem .9rem;
  border-radius: .6rem; font-size: .9rem; line-height: 1.45;
  background: light-dark(#f6e9d9, #33291e); border-left: 4px solid #c9711a; }
.safety b { white-space: nowrap; }
.lead { font-size: 1.08rem; line-height: 1.55; max-width: 44rem; color: var(--quiet); margin: 0; }
.eyebrow { font-size: .78rem; letter-spacing: .08em; text-transform: uppercase; color: var(--quiet); margin: 0; }
h1, h2, h3 { letter-spacing: -.01em; }
/* Names of genera, in letters that every machine has: the italics of the text's font would be another 140 kB. */
em { font-family: var(--serif); font-style: italic; }
[data-testid="stHeading"] h2 { font-size: 1.5rem; padding-top: 1.2rem; }
/* Streamlit's own grey for captions and the text of charts is 4.1:1 and 3.6:1 on this paper. */
[data-testid="stCaptionContainer"] { color: var(--quiet); opacity: 1; }
[data-testid="stCaptionContainer"] p, [data-testid="stCaptionContainer"] li { color: inherit; opacity: 1; }
[data-testid="stPlotlyChart"] svg text { fill: light-dark(#262320, #ece8df) !important; fill-opacity: 1 !important; }
/* White on the dark theme's light green is 2.1:1. */
[data-testid="stMultiSelect"] [data-tag] {
  background: light-dark(#2f6b4f, #2b4437) !important; color: #fff !important; }
/* Streamlit lays a popover over the dialog that was opened from it. */
body:has([data-testid="stDialog"]) [data-testid="stPopoverBody"] { display: none !important; }
.st-key-phone-menu, .st-key-scroll { display: none; }
/* Cards: a square picture each, and what is said of it. */
:is(.st-key-drawings, .st-key-examples, .st-key-photos, .st-key-views, .st-key-copies, .st-key-neighbours,
  .st-key-steps) img { border-radius: .6rem; aspect-ratio: 1; object-fit: cover; }
:is(.st-key-copies, .st-key-neighbours) img { border-radius: .5rem; }
:is(.answer-line, .view, .copy, .neighbour, .step) { margin: 0; overflow-wrap: anywhere; }
:is(.answer-line, .view, .copy, .neighbour, .step) > :is(b, span) { display: block; }
:is(.copy, .neighbour) { font-size: .82rem; line-height: 1.3; }
.view { font-size: .88rem; line-height: 1.35; }
.view span { opacity: .8; }
.step { font-size: .92rem; line-height: 1.45; }
/* Room for an answer of two lines under each, so that the buttons of a row are on one line. */
.answer-line { font-size: .82rem; line-height: 1.35; min-height: 4.05em; }
.answer-line b { font-weight: 600; }
.answer-line .right { color: var(--right); }
.answer-line .wrong { color: var(--wrong); }
.answer-line span { color: var(--quiet); }
/* The answer, and giving a photo. */
.answer { margin: .1rem 0 0; padding: 0; font-family: var(--serif);
  font-size: 2.5rem; font-weight: 400; line-height: 1.1; overflow-wrap: anywhere; }
.sure { margin: .35rem 0 0; font-size: 1.05rem; line-height: 1.45; max-width: 52rem; }
.badge { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .9rem; font-weight: 600;
  color: #fff; white-space: nowrap; }
.badge.right { background: #2f6b4f; }
.badge.wrong { background: #a8321f; }
.record { margin: 0; font-size: .92rem; line-height: 1.45; }
.scale { display: flex; align-items: center; gap: .6rem; font-size: .8rem; margin: 0; }
.scale i { flex: 1; height: .5rem; border-radius: 1rem; }
.signs { display: flex; gap: 1.2rem; margin: 0; font-size: .9rem; flex-wrap: wrap; }
.signs i { display: inline-block; width: .9rem; height: .9rem; border-radius: .2rem; margin-right: .35rem;
  vertical-align: -.1rem; }
.refused { margin: 0; font-size: .92rem; padding: .5rem .8rem; border-radius: .5rem;
  background: color-mix(in srgb, #c0392b 12%, transparent); border-left: 4px solid #c0392b; overflow-wrap: anywhere; }
[data-testid="stFileUploaderDropzone"] { border-style: dashed; border-width: 1.5px; }
/* Large where there is nothing else on the page: in a popover it is not. */
[data-testid="stMainBlockContainer"] [data-testid="stFileUploaderDropzone"] { min-height: 7rem; align-items: center;
  align-content: center; justify-content: center; }
/* The label says it already. */
[data-testid="stFileUploaderDropzoneInstructions"] { display: none; }
/* Streamlit tells a file that is too large by a sign alone. */
[data-testid="stFileUploader"] span[role="alert"] { position: static !important; width: auto !important;
  height: auto !important; clip: auto !important; clip-path: none !important; white-space: normal !important;
  overflow: visible !important; margin: 0 !important; flex-basis: 100%; font-size: .85rem; color: var(--wrong); }
[data-testid="stFileUploader"] div:has(> span[role="alert"]) { flex-wrap: wrap; height: auto; max-width: none; }
/* The picture's box is the picture's own, whatever its shape: no bars beside it, and round corners. */
.st-key-picture img { width: auto !important; height: auto; max-width: 100%; max-height: 22rem;
  border-radius: .7rem; }
.st-key-camera-box video, .st-key-camera-box img { max-height: 55vh; object-fit: contain; }
/* A lesson; no keys where there is no keyboard. */
.st-key-lesson { border-radius: .6rem; padding: .4rem .8rem; background: light-dark(#eef3ec, #202822); }
.st-key-lesson p, .st-key-lesson [data-testid="stMarkdownContainer"] { margin: 0; }
@media (hover: none) { .st-key-lesson kbd { display: none; } }
/* Heatmaps side by side. */
.heatmaps { overflow-x: auto; }
.heatmaps table { border-collapse: separate; border-spacing: .5rem; margin: 0 -.5rem; table-layout: fixed;
  width: min(100%, var(--columns) * 20rem); min-width: calc(var(--columns) * 8.5rem); }
.heatmaps th { font-weight: 600; font-size: .85rem; line-height: 1.3; text-align: left; vertical-align: bottom; }
.heatmaps tbody th { vertical-align: middle; }
.heatmaps .rows { width: 6rem; }
.heatmaps td { vertical-align: top; padding: 0; }
.heatmaps img { display: block; width: 100%; max-width: 20rem; border-radius: .5rem; }
.heatmaps small { display: block; font-size: .85rem; line-height: 1.35; color: var(--quiet); padding-top: .25rem; }
/* The report. */
.st-key-verdict { margin: 0; padding: .9rem 1.1rem; border-radius: .7rem; line-height: 1.55; max-width: 56rem;
  background: light-dark(#eef3ec, #202822); border-left: 4px solid var(--right); }
.share { display: flex; height: 1.6rem; border-radius: .4rem; overflow: hidden; gap: 2px; margin: 0; }
.share i { display: block; min-width: 0; }
.share .right { background: #2e8b62; }
.share .wrong { background: #d9701a; }
.share .none { background: light-dark(#cfcabd, #4a514b); }
.on-this-page { display: flex; flex-wrap: wrap; gap: .1rem 1.3rem; line-height: 1.9; }
.on-this-page a { color: var(--right); }
.st-key-headline [data-testid="stMetricValue"] { font-size: 2rem; }
.shares { overflow-x: auto; }
.shares table { border-collapse: collapse; width: 100%; font-size: .9rem; line-height: 1.3; }
.shares th { font-weight: 500; text-align: left; padding: .3rem .5rem; white-space: nowrap; }
.shares thead th { color: var(--quiet); vertical-align: bottom; }
.shares td { padding: .3rem .5rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.shares tbody tr { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.shares i { display: inline-block; width: 3.5rem; height: .5rem; margin-right: .5rem; border-radius: .25rem;
  background: linear-gradient(90deg, #2e8b62 var(--share), color-mix(in srgb, currentColor 12%, transparent) 0); }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 4rem 1rem 3rem; }
  h1 { font-size: 2rem !important; }
  /* All of them are seen, none behind the edge. */
  [data-testid="stTabs"] [role="tablist"] { flex-wrap: wrap; }
  /* The whole sentence, in no more than a tenth of the screen. */
  .safety { font-size: .78rem; line-height: 1.28; padding: .25rem .5rem; }
  .safety b { display: none; }
  .safety > span::before { content: "⚠ "; }
  /* Streamlit's own menu on a phone is a drawer over the page: ours lies in its bar. */
  [data-testid="stExpandSidebarButton"], [data-testid="stSidebarCollapsedControl"] { display: none; }
  .st-key-phone-menu { display: flex; position: fixed; top: 0; left: 0; right: 3rem; height: 3.75rem; z-index: 999991;
    flex-wrap: nowrap; overflow-x: auto; align-items: center; gap: 0; padding-left: .35rem; scrollbar-width: none; }
  .st-key-phone-menu > div { flex: 0 0 auto; width: auto; min-width: 0; }
  .st-key-phone-menu a { padding: .5rem .4rem; min-height: 2.75rem; font-size: .88rem; }
  :is(.st-key-views, .st-key-copies, .st-key-neighbours) > div { flex: 0 0 calc(50% - .5rem); width: auto;
    min-width: 0; }
  .answer { font-size: 1.8rem; }
  .sure { font-size: .98rem; }
  .st-key-picture img { max-height: 20rem; }
  .st-key-upload { flex-wrap: wrap; }
  .st-key-upload > div:has([data-testid="stFileUploader"]) { flex: 1 1 100%; }
  .st-key-camera-box video, .st-key-camera-box img { max-height: 45vh; }
  /* On a phone the buttons of the table of photos would always lie over what is above it. */
  [class*="st-key-table-"] [data-testid="stElementToolbar"] { display: none; }
  /* Previous, where one is and next stay on one line of the smallest phone. */
  .st-key-lesson { gap: .3rem !important; padding: .3rem .5rem; }
  .st-key-lesson > :first-child { flex: 1 0 100%; }
  .st-key-lesson button { padding: .2rem .4rem; }
  /* What is compared begins on the first screen, three heatmaps beside each other. */
  .st-key-plain-photo img { width: 9rem !important; }
  .heatmaps table { min-width: calc(var(--columns) * 6.4rem); border-spacing: .3rem; margin: 0 -.3rem; }
  .heatmaps .rows { width: 4.6rem; }
  .heatmaps th { font-size: .78rem; }
}
@media (max-width: 340px) { .safety { font-size: .72rem; line-height: 1.22; } }
/* On paper there is nothing to scroll or press, and no dark theme. */
@media print {
  .stApp { color-scheme: light !important; }
  html, body, #root > div, .stApp, .stApp > div, .stApp [data-testid="stAppViewContainer"],
  .stApp [data-testid="stAppViewContainer"] > *, .stApp [data-testid="stAppScrollToBottomContainer"],
  .stApp [data-testid="stMain"], .stApp [data-testid="stMain"] > div, .stApp [role="group"],
  .stApp button:not([kind$="Active"]), .stApp input, .stApp [data-testid="stSelectbox"] * {
    background-color: transparent !important; }
  .stApp *:not(svg *) { color: #262320 !important; border-color: #d8d4ca !important;
    --st-text-color: #262320 !important; --st-background-color: #fff !important;
    --st-secondary-background-color: #f3f0e8 !important; }
  [data-testid="stElementContainer"]:has([data-testid="stCaptionContainer"]) { break-after: avoid; }
  .stApp, [data-testid="stAppViewContainer"], [data-testid="stMain"], [data-testid="stAppScrollToBottomContainer"] {
    position: static !important; display: block !important; height: auto !important; overflow: visible !important; }
  [data-testid="stHeader"], [data-testid="stToolbar"], .stButton, .stDownloadButton, .stPageLink, .on-this-page,
  [data-testid="stExpander"]:not(:has(details[open])) { display: none !important; }
  [data-testid="stElementContainer"]:has(.safety) { position: static; }
  [data-testid="stMainBlockContainer"] { padding: 0; max-width: none; }
  h2, h3 { break-after: avoid; }
  [data-testid="stPlotlyChart"], [data-testid="stDataFrame"], tr, figure { break-inside: avoid; }
  .shares { overflow: visible; }
  .shares table { font-size: .7rem; }
  .shares i { width: 2rem; }
  .shares th, .shares td { padding: .2rem .25rem; }
  .shares thead th { white-space: normal; }
  @page { size: A4; margin: 14mm; }
}
</style>
"""
