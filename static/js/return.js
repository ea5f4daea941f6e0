// Review: j and k go to the next and the previous return, s to the words of a sending back, a to the button that
// accepts; a second press of a accepts. They work wherever focus stands, fields apart. Nothing here is needed.
(() => {
  "use strict";

  const region = document.querySelector("[data-review]");
  if (!region) return;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.target.matches("input, textarea, select")) return;
    const target = region.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    if (target.matches("a") || document.activeElement === target) {
      target.click();
    } else {
      target.focus();
      target.scrollIntoView({ block: "center" });
    }
  });
})();
