// Shows the page in English or Chinese: by the browser's language, or as the user chose. TEXTS: see texts.py.
// It replaces texts where they stand, and those that appear later: what is typed, chosen or played stays.
const ATTRIBUTES = ["placeholder", "title", "aria-label", "aria-valuetext", "alt"];
const KEY = "ppaudioldm-language";
const LETTER = /[A-Za-z]/;
const templates = TEXTS.templates.map(([pattern, names, text]) => [new RegExp(`^${pattern}$`, "su"), names, text]);
const shownBy = new WeakMap(); // node -> {name of an attribute, or "": {source, shown}}
const isUpper = (name) => name === name.toUpperCase();
let language = chosen();

// Gradio itself stays English; it would otherwise keep the language with which it began.
for (const [name, value] of [["language", "en"], ["languages", ["en"]]]) {
  Object.defineProperty(navigator, name, { get: () => value, configurable: true });
}

function chosen() {
  let kept = null;
  try { kept = localStorage.getItem(KEY); } catch { /* storage is switched off */ }
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function chinese(text) {
  if (!LETTER.test(text)) return text;
  if (Object.hasOwn(TEXTS.exact, text)) return TEXTS.exact[text];
  for (const [pattern, names, translation] of templates) {
    const match = pattern.exec(text);
    if (!match) continue;
    const shown = {};
    names.forEach((name, i) => { shown[name] = isUpper(name) ? texts(match[i + 1]) : match[i + 1]; });
    if (Object.values(shown).includes(null)) continue;
    return translation.replace(/\{(\w+)\}/g, (_, name) => shown[name]);
  }
  return null;
}

// A text, or several with commas between them.
function texts(text) {
  const translated = chinese(text);
  if (translated !== null) return translated;
  const parts = text.split(", ").map((part) => Object.hasOwn(TEXTS.exact, part) ? TEXTS.exact[part] : null);
  return parts.includes(null) ? null : parts.join("、");
}

function inLanguage(source) {
  const text = source.trim().split(/\s+/).join(" ");
  const translated = language === "zh" ? chinese(text) : null;
  if (translated === null || translated === text) return source;
  const after = /[：，。；]$/u.test(translated) ? "" : /\s*$/.exec(source)[0];
  return /^\s*/.exec(source)[0] + translated + after;
}

// What to write in place of `now`; null if it is there already.
function next(node, name, now) {
  const entries = shownBy.get(node) ?? {};
  const source = entries[name]?.shown === now ? entries[name].source : now;
  const shown = inLanguage(source);
  entries[name] = { source, shown };
  shownBy.set(node, entries);
  return shown === now ? null : shown;
}

function showText(node) {
  const parent = node.parentElement;
  if (!parent || parent.closest("script, style, textarea, [translate=no]")) return;
  const message = parent.closest(".message");
  if (message) return showMessage(message);
  const text = next(node, "", node.data);
  if (text !== null) node.data = text;
}

// A line of several parts, translated as a whole; its flags are not broken at their hyphens.
function showMessage(element) {
  const text = next(element, "", element.textContent);
  if (text === null) return;
  const parts = text.split(/(--[a-z-]+)/).map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    const flag = document.createElement("span");
    flag.className = "flag";
    flag.textContent = part;
    return flag;
  });
  element.replaceChildren(...parts);
}

function showAttribute(element, name) {
  if (!element.hasAttribute(name) || element.closest("[translate=no]")) return;
  const text = next(element, name, element.getAttribute(name));
  if (text !== null) element.setAttribute(name, text);
}

function showAll(root) {
  if (root.nodeType === Node.TEXT_NODE) return showText(root);
  if (root.nodeType !== Node.ELEMENT_NODE) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.currentNode; node; node = walker.nextNode()) found.push(node);
  for (const node of found) {
    if (node.nodeType === Node.TEXT_NODE) showText(node);
    else for (const name of ATTRIBUTES) showAttribute(node, name);
  }
  for (const button of root.querySelectorAll("button[data-language]")) mark(button);
}

function mark(button) {
  const pressed = String(button.dataset.language === language);
  if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
}

function show() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  showAll(document.documentElement);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-language]");
  if (!button) return;
  language = button.dataset.language;
  try { localStorage.setItem(KEY, language); } catch { /* it lasts as long as the page */ }
  show();
});

new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "characterData") showText(change.target);
    else if (change.type === "attributes") showAttribute(change.target, change.attributeName);
    else for (const node of change.addedNodes) showAll(node);
  }
}).observe(document.documentElement, {
  subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
});
show();
