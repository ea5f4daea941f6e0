// What a page gains where scripts run; nothing here is needed to use it.
(() => {
  "use strict";

  // After a refused form the list of errors is read first.
  document.querySelector("[data-focus]")?.focus();

  // Menus close with Escape, by a press elsewhere, or when focus moves on.
  const menus = document.querySelectorAll("details[data-dismiss]");
  const close = (menu) => { menu.open = false; };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menus.forEach((menu) => {
      if (menu.open && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      close(menu);
    });
  });
  document.addEventListener("click", (event) => menus.forEach((menu) => menu.contains(event.target) || close(menu)));
  menus.forEach((menu) => menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) close(menu);
  }));

  // Filters answer at once; their button stays for those without scripts, and for the keyboard.
  document.querySelectorAll("form[data-instant]").forEach((form) => {
    form.addEventListener("change", (event) => event.target.matches("select, [type=checkbox]") && form.requestSubmit());
  });

  // Single keys act only while focus is inside their region: <div data-keys> … <button data-key="a">.
  document.querySelectorAll("[data-keys]").forEach((region) => region.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, textarea, select")) return;
    const target = region.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    target.matches("a, button") ? target.click() : target.focus();
  }));

  // Long work: ask how far it is. The answer: {percent, stage, left, done}; at the end the page is loaded anew.
  document.querySelectorAll("[data-progress]").forEach((box) => {
    const bar = box.querySelector("progress");
    const put = (name, text) => {
      const place = box.querySelector(`[data-${name}]`);
      if (place && text !== undefined && text !== null && place.textContent !== String(text)) place.textContent = text;
    };
    const ask = async () => {
      try {
        const answer = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(answer.status);
        const state = await answer.json();
        if (state.done) return location.reload();
        if (Number.isFinite(state.percent)) bar.value = state.percent;
        put("percent", Number.isFinite(state.percent) ? `${Math.round(state.percent)}\u202f%` : null);
        put("stage", state.stage);
        put("left", state.left);
      } catch {
        put("left", "The line is quiet; trying again.");
      }
      return setTimeout(ask, document.hidden ? 10000 : 2000);
    };
    setTimeout(ask, 1500);
  });

  // Signing out wipes what was typed into returns and is kept on this device.
  document.querySelectorAll("form[action*='/sign-out/']").forEach((form) => form.addEventListener("submit", () => {
    try {
      Object.keys(sessionStorage).filter((key) => key.startsWith("entry:")).forEach((key) => sessionStorage.removeItem(key));
    } catch { /* no storage, nothing kept */ }
  }));
})();
