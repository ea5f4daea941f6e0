// A text that is to be carried elsewhere: chosen whole when it is touched, and copied by a button.
(() => {
  "use strict";

  document.querySelectorAll("[data-select]").forEach((field) => field.addEventListener("focus", () => field.select()));

  document.querySelectorAll("[data-copy]").forEach((button) => {
    const field = document.getElementById(button.dataset.copy);
    const said = button.parentElement.querySelector("[data-copy-said]");
    if (!field || !said) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      field.focus();
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
        said.textContent = "Copied.";
      } catch {
        // Without HTTPS the browser keeps the clipboard to itself; the older way may still work.
        said.textContent = document.execCommand("copy") ? "Copied." : "It is selected: copy it with the keyboard or the menu.";
      }
    });
  });
})();
