// What ui/shell/browser.py says. phrases and skipName come before this file: what Streamlit writes (in English), and
// what the first stop of the keyboard is called, in each language. The page says its language in a
// <style data-language>; <html lang> follows, by which a browser chooses the shapes of Chinese characters and
// a screen reader its voice.
(() => {
  const RUNS = Symbol.for("tuneboard"); // a name would be that of a heading too
  if (window[RUNS]) return; // a page that is drawn anew runs its scripts again
  window[RUNS] = true;
  const TAGS = { en: "en", zh: "zh-CN" };
  const NAMES = ["aria-label", "title", "placeholder", "data-title"];
  const VALUE = "{value}";
  const LONGEST = 200;
  // What a person or a model wrote stays, unless Streamlit's own word is drawn as such a text.
  const THEIRS = "pre, code, textarea, [data-testid=stMarkdownContainer], [data-testid=stHtml], [data-item-hl], .js-plotly-plot";
  const OURS = "[data-testid=stFileUploaderDropzone], [data-testid=stElementToolbar]";
  const exact = new Map();
  const patterns = [];
  for (const phrase of phrases) {
    for (const text of Object.values(phrase)) {
      if (!text.includes(VALUE)) exact.set(text, phrase);
      else {
        const parts = text.split(VALUE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        patterns.push([new RegExp(`^${parts.join("(.+?)")}$`, "s"), phrase]);
      }
    }
  }
  let language = "en";
  let seenTop = null; // how often the page was to be seen from its top, as far as that was done

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

  const MAIN = ":is([data-testid=stMain], [data-testid^=stAppScroll])"; // the second with a chat's field

  function goToTop(asked) {
    const more = seenTop !== null && Number(asked) > seenTop; // a server that was started again counts anew
    seenTop = Number(asked);
    if (more) document.querySelector(MAIN)?.scrollTo(0, 0);
  }

  const BUTTONS = [
    `${MAIN} [data-testid^=stBaseButton-primary]:not(:disabled)`,
    "[data-testid=stChatInputTextArea]:not(:disabled)",
    `${MAIN} :is([data-testid=stBaseButton-secondary]:not(:disabled),
      [data-testid=stPageLink-NavLink]:not(.st-key-strip *))`,
  ];
  const SCROLLS = "pre, [data-testid=stVerticalBlock][overflow=auto]";
  const INSIDE = "a[href], button, input, select, textarea, [tabindex]";
  const skip = document.createElement("button");
  skip.className = "tb-skip";
  skip.addEventListener("click", () => mainButton()?.focus());
  document.body.prepend(skip);

  // What is a link to the browser and a button to a person is pressed as a button is.
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.closest?.(".tb-reload")) return;
    event.preventDefault();
    event.target.click();
  });

  // What a page is about: its first primary button; the chat's field; else the first button or link there is,
  // but none that stops or deletes.
  function mainButton() {
    for (const kind of BUTTONS) {
      const found = [...document.querySelectorAll(kind)].find(
        (button) => button.checkVisibility() && !button.closest("[class*=st-key-danger-]"),
      );
      if (found) return found;
    }
    return null;
  }

  function easeKeyboard() {
    skip.hidden = !mainButton();
    if (skip.textContent !== skipName[language]) skip.textContent = skipName[language];
    const here = location.pathname.split("/").pop();
    for (const link of document.querySelectorAll(".st-key-strip a"))
      if (link.getAttribute("href").split("?")[0] === here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    for (const box of document.querySelectorAll(SCROLLS))
      if (!box.hasAttribute("tabindex") && !box.querySelector(INSIDE)) box.tabIndex = 0;
  }

  let soon = 0;
  function easeSoon() {
    soon ||= setTimeout(() => {
      soon = 0;
      easeKeyboard();
    }, 200);
  }

  function follow() {
    const told = [...document.querySelectorAll("style[data-language]")].pop();
    const wanted = told?.dataset.language ?? language;
    if (told) goToTop(told.dataset.top);
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
    easeSoon();
  }).observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
    attributeFilter: NAMES,
  });
  follow();
  speakAll(document.body);
  easeKeyboard();
})();
