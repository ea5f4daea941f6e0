// Units as rows: keys as in a spreadsheet, paste of a block, each row saved on its own as it is typed.
(() => {
  "use strict";

  const { Sender, form, change, number, plural, time, announce } = window.Saving ?? {};
  if (!form?.matches("[data-grid]")) return;
  const MARKERS = ["DK", "REF"];
  const rows = [...form.querySelectorAll("tbody tr[data-url]")];
  const cells = rows.map((row) => [...row.querySelectorAll("td input")]);
  const place = new Map(cells.flatMap((inputs, y) => inputs.map((input, x) => [input, [y, x]])));
  const shown = new Map(); // what each cell shows for what is stored
  const senders = [];

  const note = (input, words) => {
    const box = input.closest("td");
    document.getElementById(`${input.id}_e`).textContent = words; // under the row, across the table
    box.classList.toggle("is-wrong", Boolean(words));
    if (words) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const mark = (input, state) => { input.closest("td").dataset.state = state; };
  const showChange = (input) => {
    const { kind, unit, before } = input.dataset;
    input.closest("td").querySelector("[data-change]").textContent = change(kind, unit, input.value, before);
  };

  // --- Totals of columns that add up
  const isIndian = form.dataset.indian === "1";
  function totals() {
    form.querySelectorAll("[data-total]").forEach((box) => {
      const values = cells.flat().filter((input) => input.dataset.code === box.dataset.total && !input.disabled)
        .map((input) => number(input.value)).filter((value) => !Number.isNaN(value));
      const sum = values.reduce((all, value) => all + value, 0);
      box.textContent = values.length ? sum.toLocaleString(isIndian && Math.abs(sum) >= 10_000 ? "en-IN" : "en", { maximumFractionDigits: 2, useGrouping: Math.abs(sum) >= 10_000 }) : "";
    });
  }

  rows.forEach((row, y) => {
    const byCode = new Map(cells[y].map((input) => [input.dataset.code, input]));
    cells[y].forEach((input) => shown.set(input, input.defaultValue));
    const sender = new Sender({
      url: row.dataset.url,
      id: row.dataset.return,
      scale: Number(row.dataset.scale),
      hooks: {
        saved(found, sent, refused) {
          for (const [code, now] of Object.entries(found.fields)) {
            const input = byCode.get(code);
            if (!input) continue;
            const waits = code in sender.kept.answers || code in refused || code in sender.kept.stuck || code in sender.kept.clashes;
            if (!(code in sender.kept.answers)) input.dataset.was = now.text;
            const text = !now.text || MARKERS.includes(now.text) ? now.text : now.words;
            shown.set(input, text);
            if (!waits) {
              if (input !== document.activeElement || !isEditing) input.value = text;
              const flag = now.flags.find((one) => !one.explanation);
              note(input, now.error || (flag ? `${flag.message} Explain it in the return.` : ""));
              if (sent.includes(code)) mark(input, "saved");
            }
            showChange(input);
          }
          for (const [code, why] of Object.entries(refused)) {
            const input = byCode.get(code);
            if (input) { note(input, `${why.message} ${why.mend}`.trim()); mark(input, "refused"); }
          }
          const asked = new Set(found.asked);
          byCode.forEach((input, code) => { input.disabled = !asked.has(code) && !input.dataset.was; });
          const words = found.sections.find((part) => part.code === cells[y][0]?.dataset.code.slice(0, 2))?.words;
          if (words) row.querySelector("[data-words]").textContent = words;
          totals();
        },
        clash(found) {
          const input = byCode.get(found.question);
          if (!input) return;
          // The cell shows mine; saving it again puts it in the place of theirs, Escape takes theirs.
          input.dataset.was = found.theirs;
          shown.set(input, found.theirs_words === "no answer" ? "" : found.theirs_words);
          note(input, `${found.question}: a colleague (${found.by}) saved ${found.theirs_words} meanwhile. Yours is not stored: Enter keeps yours, Escape takes theirs.`);
          mark(input, "clash");
          announce(`Two values in ${input.getAttribute("aria-label")}.`);
        },
        waits: () => byCode.forEach((input, code) => { if (code in sender.kept.answers) mark(input, "waiting"); }),
        locked(words) { row.querySelector("[data-words]").textContent = words; },
      },
    });
    senders[y] = sender;
    // What an earlier visit left on this device
    for (const [kind, part] of [["waiting", sender.kept.answers], ["refused", sender.kept.stuck], ["clash", sender.kept.clashes]]) {
      for (const [code, kept] of Object.entries(part)) {
        const input = byCode.get(code);
        if (!input) continue;
        input.disabled = false;
        input.value = kept.text ?? kept.mine;
        mark(input, kind);
        if (kept.message) note(input, kept.message);
        if (kind === "clash") sender.hooks.clash(kept);
      }
    }
    if (sender.waiting()) sender.soon();
  });

  function put(input, now) {
    const [y] = place.get(input);
    const text = input.value.trim();
    const code = input.dataset.code;
    const sender = senders[y];
    delete sender.kept.clashes[code];
    if (text === shown.get(input)) {
      sender.put(code, input.dataset.was, input.dataset.was);
      note(input, "");
      mark(input, "");
    } else {
      sender.put(code, text, input.dataset.was);
      mark(input, "waiting");
    }
    showChange(input);
    totals();
    if (now) sender.soon();
    else sender.later();
  }

  // --- Keys: a cell is chosen first (arrows move), and edited after F2, a double click or a letter
  let isEditing = false;
  let atFocus = "";
  const step = (y, x, dy, dx) => {
    for (let [r, c] = [y + dy, x + dx]; cells[r]?.[c]; r += dy, c += dx) {
      if (!cells[r][c].disabled) { cells[r][c].focus(); return true; }
    }
    return false;
  };
  form.addEventListener("focusin", ({ target }) => {
    if (!place.has(target)) return;
    isEditing = false;
    atFocus = target.value;
    target.select();
  });
  form.addEventListener("dblclick", ({ target }) => { if (place.has(target)) isEditing = true; });
  form.addEventListener("input", ({ target }) => {
    if (!place.has(target)) return;
    isEditing = true;
    put(target, false);
  });
  form.addEventListener("change", ({ target }) => { if (place.has(target)) put(target, true); });
  form.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (!place.has(target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const [y, x] = place.get(target);
    const move = (dy, dx) => { event.preventDefault(); step(y, x, dy, dx); };
    if (key === "Enter") {
      if (target.closest("td").dataset.state === "clash") put(target, true);
      move(event.shiftKey ? -1 : 1, 0);
    } else if (key === "ArrowDown") move(1, 0);
    else if (key === "ArrowUp") move(-1, 0);
    else if (key === "ArrowRight" && !isEditing) move(0, 1);
    else if (key === "ArrowLeft" && !isEditing) move(0, -1);
    else if (key === "F2") {
      event.preventDefault();
      isEditing = true;
      target.setSelectionRange(target.value.length, target.value.length);
    } else if (key === "Escape") {
      event.preventDefault();
      target.value = target.closest("td").dataset.state === "clash" ? shown.get(target) : atFocus;
      isEditing = false;
      target.select();
      put(target, true);
    }
  });

  // --- Paste: cells of a spreadsheet come as lines and tabs; they fill from the chosen cell on
  function parse(text) {
    const table = [[""]];
    let quoted = false;
    for (let i = 0; i < text.length; i += 1) {
      const one = text[i], row = table[table.length - 1];
      if (quoted) {
        if (one === '"' && text[i + 1] === '"') { row[row.length - 1] += '"'; i += 1; }
        else if (one === '"') quoted = false;
        else row[row.length - 1] += one;
      } else if (one === '"' && row[row.length - 1] === "") quoted = true;
      else if (one === "\t") row.push("");
      else if (one === "\n") table.push([""]);
      else if (one !== "\r") row[row.length - 1] += one;
    }
    if (table.length > 1 && table[table.length - 1].join("") === "") table.pop();
    return table;
  }
  form.addEventListener("paste", async (event) => {
    const { target } = event;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!place.has(target) || !/[\t\n]/.test(text.replace(/\r?\n$/, ""))) return;
    event.preventDefault();
    const [y, x] = place.get(target);
    const filled = [];
    let left = 0;
    parse(text).forEach((line, dy) => line.forEach((value, dx) => {
      const input = cells[y + dy]?.[x + dx];
      if (!input || input.disabled) { if (value.trim()) left += 1; return; }
      input.value = value.trim();
      put(input, true);
      filled.push(input);
    }));
    const help = form.querySelector("[data-grid-note]");
    if (help) help.textContent = "";
    // Told once the server has spoken: what it refused was not filled.
    await Promise.all([...new Set(filled.map((input) => senders[place.get(input)[0]]))].map((one) => one.flush()));
    const state = (name) => filled.filter((input) => input.closest("td").dataset.state === name).length;
    const [refused, waiting, clashes] = [state("refused"), state("waiting"), state("clash")];
    const parts = [`${plural(filled.length - refused - waiting - clashes, "cell")} filled`];
    if (refused) parts.push(`${refused} refused`);
    if (clashes) parts.push(`${clashes} changed by a colleague meanwhile`);
    if (waiting) parts.push(`${waiting} waiting to be sent`);
    const words = `${parts.join(", ")}.${left ? ` ${plural(left, "value")} had no cell to go to: not asked there, or beyond this page.` : ""}`;
    announce(words);
    if (help) help.textContent = words;
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await Promise.all(senders.map((one) => one.flush()));
    const wrong = cells.flat().find((input) => ["refused", "clash"].includes(input.closest("td").dataset.state));
    if (wrong) wrong.focus();
    else announce(`Saved ${time()}.`);
  });
})();
