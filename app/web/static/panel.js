"use strict";
// What the pages need beyond htmx: to say when a part that renews itself has become old, and small helps in forms.

document.addEventListener("htmx:afterRequest", (event) => {
  const stale = document.getElementById("stale");
  if (stale && event.detail.requestConfig.verb === "get") {
    stale.hidden = event.detail.successful;
  }
});

// A part that was opened, and the place of the keyboard, stay as they are when the part around them is renewed.
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, summary")) {
    event.detail.shouldSwap = false;
  } else if (part.querySelector("details[open]")) {
    event.detail.shouldSwap = false;
  }
});

// "All" boxes: <input type="checkbox" data-all="name"> ticks every box of that name.
document.addEventListener("change", (event) => {
  const name = event.target.dataset && event.target.dataset.all;
  if (name) {
    for (const box of document.querySelectorAll(`input[type=checkbox][name="${name}"]`)) {
      box.checked = event.target.checked;
    }
  }
});
