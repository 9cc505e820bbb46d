"""The style that every page shares: what Streamlit's theme cannot say.

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
  @page { size: A4; margin: 14mm; }
}
</style>
"""
