// Review: the keys j, k, a, s work wherever focus stands outside a field; forms are sent once. Nothing here is needed.
(() => {
  "use strict";

  const region = document.querySelector("[data-keys]");
  document.addEventListener("keydown", (event) => {
    if (!region || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, textarea, select, [data-keys]")) {
      if (event.key !== "s" || event.target.matches("input, textarea, select")) return;
    }
    if (event.key === "s") {
      event.preventDefault();
      document.getElementById("id_reason")?.focus();
      return;
    }
    const target = region.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    target.focus();
    // A decision asks for a second key press: the first only moves to its button.
    if (target.matches("a")) target.click();
  });
})();
