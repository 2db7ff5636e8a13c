// What Streamlit says by itself, in the page's language: it has no setting for that. WORDS comes before this
// file: for each phrase what it is in each language, English being what Streamlit writes. The page says its
// language in a <style data-language>; <html lang> follows, by which a browser chooses the shapes of Chinese
// characters and a screen reader its voice.
(() => {
  if (window.tuneboardSpeaks) return; // a page that is drawn anew runs its scripts again
  window.tuneboardSpeaks = true;
  const TAGS = { en: "en", zh: "zh-CN" };
  const NAMES = ["aria-label", "title", "placeholder", "data-title"];
  const VALUE = "{value}";
  const LONGEST = 200;
  // What a person or a model wrote stays, unless Streamlit's own word is drawn as such a text.
  const THEIRS = "pre, code, textarea, [data-testid=stMarkdownContainer], [data-item-hl], .js-plotly-plot";
  const OURS = "[data-testid=stFileUploaderDropzone], [data-testid=stElementToolbar]";
  const exact = new Map();
  const patterns = [];
  for (const phrase of WORDS) {
    for (const text of Object.values(phrase)) {
      if (!text.includes(VALUE)) exact.set(text, phrase);
      else {
        const parts = text.split(VALUE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        patterns.push([new RegExp(`^${parts.join("(.+?)")}$`, "s"), phrase]);
      }
    }
  }
  let language = "en";

  function inLanguage(text) {
    if (text.length > LONGEST) return text;
    const known = exact.get(text);
    if (known) return known[language];
    for (const [pattern, phrase] of patterns) {
      const found = text.match(pattern);
      if (found) return phrase[language].replace(VALUE, () => found[1]);
    }
    return text;
  }

  function speakText(node) {
    const around = node.parentElement;
    if (!around || !/[a-z\u4e00-\u9fff]/.test(node.data)) return;
    if (around.closest(THEIRS) && !around.closest(OURS)) return;
    const said = inLanguage(node.data);
    if (said !== node.data) node.data = said;
  }

  function speakNames(element) {
    for (const name of NAMES) {
      const text = element.getAttribute(name);
      const said = text && inLanguage(text);
      if (said && said !== text) element.setAttribute(name, said);
    }
  }

  function speakAll(root) {
    if (root.nodeType === Node.TEXT_NODE) speakText(root);
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    speakNames(root);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (walker.currentNode.nodeType === Node.TEXT_NODE) speakText(walker.currentNode);
      else speakNames(walker.currentNode);
    }
  }

  function follow() {
    const told = [...document.querySelectorAll("style[data-language]")].pop();
    const wanted = told?.dataset.language ?? language;
    document.documentElement.lang = TAGS[wanted];
    if (wanted === language) return false;
    language = wanted;
    return true;
  }

  new MutationObserver((changes) => {
    if (follow()) speakAll(document.body);
    else
      for (const change of changes) {
        if (change.type === "childList") change.addedNodes.forEach(speakAll);
        else if (change.type === "attributes") speakNames(change.target);
        else speakText(change.target);
      }
  }).observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
    attributeFilter: NAMES,
  });
  follow();
  speakAll(document.body);
})();
