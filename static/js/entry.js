// One block of a return: saved field by field, questions that come and go with the answers, last year beside each.
// The page works without this; here nothing is decided that the server does not decide again.
(() => {
  "use strict";

  const { Sender, form, afterPress, change, plural, time, announce, tell } = window.Saving ?? {};
  if (!form?.dataset.entry) return;
  const MARKERS = ["DK", "REF"];

  // --- Questions as they stand on the page
  const questions = new Map([...form.querySelectorAll("[data-question]")].map((box) => {
    const code = box.dataset.question;
    const controls = [...box.querySelectorAll(`[name="${code}"]`)];
    return [code, {
      code,
      box,
      controls,
      kind: box.dataset.kind,
      type: controls[0]?.type,
      marker: box.querySelector(`[name="marker:${code}"]`),
      was: box.querySelector(`[name="was:${code}"]`),
      state: box.querySelector("[data-state]"),
      change: box.querySelector("[data-change]"),
      same: box.querySelector("[name=same]"),
      confirmed: box.querySelector("[data-confirmed]"),
      hint: document.getElementById(`id_${code}_hint`),
    }];
  }));
  const isSet = (one) => one.type === "radio" || one.type === "checkbox";

  function read(one) {
    if (one.type === "radio") return one.controls.find((control) => control.checked)?.value ?? "";
    const marker = one.marker?.value ?? "";
    if (one.type === "checkbox") {
      const chosen = one.controls.filter((control) => control.checked).map((control) => control.value);
      return chosen.length ? chosen.join(";") : marker;
    }
    return one.controls[0].value.trim() || marker;
  }

  function write(one, text) {
    const marker = one.marker && MARKERS.includes(text) ? text : "";
    if (one.marker) one.marker.value = marker;
    const rest = marker ? "" : text;
    if (one.type === "radio") one.controls.forEach((control) => { control.checked = control.value === rest; });
    else if (one.type === "checkbox") {
      const chosen = rest.split(";");
      one.controls.forEach((control) => { control.checked = chosen.includes(control.value); });
    } else {
      const [control] = one.controls;
      control.value = rest;
      if (control.value !== rest) { control.type = "text"; control.value = rest; } // a date field shows dates only
    }
    showChange(one);
  }

  function showChange(one) {
    if (one.change) one.change.textContent = change(one.kind, one.box.dataset.unit, read(one), one.box.dataset.before);
  }

  function setState(one, state, words) {
    one.state.dataset.state = state;
    one.state.textContent = words;
  }

  // "Waiting" only where the answer takes long, and never in the middle of a press.
  function setWaiting(one) {
    setTimeout(async () => {
      await afterPress();
      if (one.code in sender.kept.answers) setState(one, "waiting", "Waiting");
    }, 600);
  }

  function setConfirmed(one, is) {
    if (!one.same) return;
    const had = document.activeElement === one.same;
    one.same.hidden = is;
    one.confirmed.hidden = !is;
    if (is && had) focusOn(one);
  }

  function setError(one, words) {
    const id = `id_${one.code}_error`;
    let place = document.getElementById(id);
    const field = one.box.querySelector(".field");
    field.classList.toggle("field--error", Boolean(words));
    if (!words) place?.remove();
    else {
      if (!place) {
        place = document.createElement("p");
        place.className = "field__error";
        place.id = id;
        field.append(place);
      }
      const hidden = Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: "Error: " });
      const span = document.createElement("span");
      span.append(hidden, words);
      place.replaceChildren(span);
    }
    const described = isSet(one) ? field : one.controls[0];
    const others = (described.getAttribute("aria-describedby") ?? "").split(" ").filter((part) => part && part !== id);
    if (words) others.push(id);
    if (others.length) described.setAttribute("aria-describedby", others.join(" "));
    else described.removeAttribute("aria-describedby");
    if (!isSet(one)) {
      if (words) described.setAttribute("aria-invalid", "true");
      else described.removeAttribute("aria-invalid");
    }
    if (!words) {
      document.querySelectorAll(`.error-summary a[href="#id_${one.code}"]`).forEach((link) => link.closest("li").remove());
      document.querySelectorAll(".error-summary").forEach((summary) => summary.querySelector("li") || summary.remove());
    }
  }

  // --- Checks that ask for an explanation
  const template = document.getElementById("flag-template");
  function setFlags(one, flags) {
    const place = one.box.querySelector("[data-flags]");
    const rules = new Set(flags.map((flag) => flag.rule));
    place.querySelectorAll("[data-flag]").forEach((box) => {
      if (!rules.has(box.dataset.flag) && !sender.kept.said[box.dataset.flag]) box.remove();
    });
    flags.forEach((flag) => {
      let box = place.querySelector(`[data-flag="${CSS.escape(flag.rule)}"]`);
      if (!box) {
        box = template.content.firstElementChild.cloneNode(true);
        box.dataset.flag = flag.rule;
        box.querySelector("label").htmlFor = `explain_${flag.rule}`;
        box.querySelector("[data-rule]").textContent = flag.rule;
        const text = box.querySelector("textarea");
        text.id = `explain_${flag.rule}`;
        text.name = `explain:${flag.rule}`;
        text.value = "";
        box.querySelector("input[type=hidden]").name = `was:explain:${flag.rule}`;
        box.querySelector("[data-flag-error]").id = `explain_${flag.rule}_error`;
        place.append(box);
        announce(flag.message);
      }
      box.querySelector("[data-message]").textContent = flag.message;
      const text = box.querySelector("textarea");
      box.querySelector("input[type=hidden]").value = flag.explanation;
      if (document.activeElement !== text && !sender.kept.said[flag.rule]) text.value = flag.explanation;
      const error = box.querySelector("[data-flag-error]");
      const isShort = Boolean(flag.error) && document.activeElement !== text;
      error.hidden = !isShort;
      error.querySelector("span").textContent = isShort ? flag.error : "";
    });
  }

  // --- Two people changed one answer: both stand beside the field until one is chosen
  function showClash(one, found) {
    one.box.querySelector("[data-clash]")?.remove();
    const box = document.createElement("div");
    box.className = "clash";
    box.dataset.clash = "";
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Two values for ${one.box.dataset.short}`);
    const words = document.createElement("p");
    words.append(`A colleague (${found.by}) saved `, Object.assign(document.createElement("strong"), { textContent: found.theirs_words }),
      " meanwhile; you typed ", Object.assign(document.createElement("strong"), { textContent: found.mine_words ?? found.mine }), ".");
    const button = (label, text) => {
      const made = Object.assign(document.createElement("button"), { type: "button", className: "button button--quiet", textContent: label });
      made.addEventListener("click", () => {
        box.remove();
        one.was.value = found.theirs;
        write(one, text);
        setState(one, "waiting", text === found.theirs ? "" : "Waiting");
        focusOn(one);
        sender.settle(one.code, text, found.theirs);
      });
      return made;
    };
    const row = Object.assign(document.createElement("p"), { className: "row" });
    row.append(button("Keep mine", found.mine), button("Take theirs", found.theirs));
    box.append(words, row);
    one.box.querySelector(".field").after(box);
    setState(one, "clash", "Not saved: choose one of the two");
    announce(`Two values for ${one.box.dataset.short}. ${words.textContent}`);
  }

  // --- What the server answers
  function saved(found, sent, refused) {
    const at = time(found.saved_at);
    for (const [code, now] of Object.entries(found.fields)) {
      const one = questions.get(code);
      if (!one) continue;
      const waits = code in sender.kept.answers || code in sender.kept.clashes || code in refused || code in sender.kept.stuck;
      const before = one.was.value;
      one.was.value = code in sender.kept.answers || code in sender.kept.clashes ? before : now.text;
      if (!waits) {
        const is = read(one);
        const hasFocus = one.box.contains(document.activeElement) && !sent.includes(code);
        if (is !== now.text && !hasFocus && (sent.includes(code) || now.text !== before)) write(one, now.text);
        setError(one, now.error);
        setConfirmed(one, now.confirmed);
        if (one.hint && ["code", "multicode"].includes(one.kind)) one.hint.textContent = now.hint;
      }
      setFlags(one, now.flags);
      if (sent.includes(code) && !waits) setState(one, "saved", `Saved ${at}`);
    }
    for (const [code, why] of Object.entries(refused)) {
      const one = questions.get(code);
      if (one) refuse(one, `${why.message} ${why.mend}`.trim());
    }
    route(new Set(found.asked));
    for (const part of found.sections) {
      const item = document.querySelector(`[data-section="${part.code}"]`);
      if (!item) continue;
      item.querySelector("small").textContent = part.asked ? part.short : "";
      const link = item.querySelector("a");
      if (link) {
        link.hidden = !part.asked;
        item.querySelector("span").hidden = Boolean(part.asked);
      }
    }
  }

  function refuse(one, words) {
    setError(one, words);
    setState(one, "refused", "Not saved");
  }

  function route(asked) {
    const came = [], went = [];
    questions.forEach((one) => {
      const shown = asked.has(one.code) || one.was.value !== "" || one.code in sender.kept.answers;
      if (shown === !one.box.hidden) return;
      (shown ? came : went).push(one.box.dataset.short);
      one.box.hidden = !shown;
    });
    form.elements.codes.value = [...questions.values()].filter((one) => !one.box.hidden).map((one) => one.code).join(" ");
    const words = [];
    if (came.length) words.push(`${plural(came.length, "more question")}: ${came.join(", ")}.`);
    if (went.length) words.push(`No longer asked: ${went.join(", ")}.`);
    if (words.length) announce(words.join(" "));
  }

  const sender = new Sender({
    url: form.dataset.entry,
    id: form.dataset.return,
    scale: Number(form.dataset.scale),
    check: new URLSearchParams(location.search).has("check"),
    hooks: {
      saved,
      clash: (found) => questions.has(found.question) && showClash(questions.get(found.question), found),
      explained: (rule, text) => {
        const area = document.getElementById(`explain_${rule}`);
        if (area) area.value = text;
      },
      waits: () => questions.forEach((one) => {
        if (one.code in sender.kept.answers) setState(one, "waiting", "Waiting, kept on this device");
        // Without a line nobody says what is asked next; what may follow from an answer that waits is shown.
        const follows = one.box.dataset.follows.split(" ");
        if (one.box.hidden && follows.some((code) => code in sender.kept.answers)) one.box.hidden = false;
      }),
      locked: () => questions.forEach((one) => { if (one.code in sender.kept.answers) setState(one, "refused", "Not saved"); }),
    },
  });

  // --- What somebody does
  function typed(one, now) {
    setConfirmed(one, false);
    showChange(one);
    sender.put(one.code, read(one), one.was.value);
    const waits = one.code in sender.kept.answers;
    if (!waits) { setState(one, "", ""); setError(one, ""); }
    else if (now) setWaiting(one);
    if (now) sender.soon();
    else sender.later();
  }

  const questionOf = (target) => questions.get(target.closest("[data-question]")?.dataset.question);

  form.addEventListener("input", (event) => {
    const { target } = event;
    const one = questionOf(target);
    if (!one) return;
    if (target.name?.startsWith("explain:")) {
      const rule = target.name.slice("explain:".length);
      sender.say(rule, target.value, target.parentElement.querySelector("input[type=hidden]").value);
      sender.later();
      return;
    }
    if (target.name !== one.code && target !== one.marker) return;
    if (target === one.marker && target.value && !isSet(one)) one.controls[0].value = "";
    else if (target === one.marker && target.value) one.controls.forEach((control) => { control.checked = false; });
    else if (one.marker && target !== one.marker) one.marker.value = "";
    if (one.type === "checkbox" && target.checked) {
      // "None of these" and the others exclude each other.
      const isNone = target.value === "none";
      one.controls.forEach((control) => { if (control !== target && (isNone || control.value === "none")) control.checked = false; });
    }
    typed(one, isSet(one) || target.tagName === "SELECT");
  });
  form.addEventListener("change", (event) => {
    const one = questionOf(event.target);
    if (!one) return;
    if (one.code in sender.kept.answers) setWaiting(one);
    sender.soon();
  });

  form.addEventListener("click", (event) => {
    const button = event.target.closest("[name=same]");
    if (!button) return;
    event.preventDefault();
    const one = questions.get(button.value);
    write(one, one.box.dataset.before);
    sender.put(one.code, one.box.dataset.before, one.was.value, true);
    setConfirmed(one, true);
    setWaiting(one);
    sender.soon();
  });

  // --- Keyboard: Enter in a field moves on, it never sends the form
  function focusOn(one) {
    const control = one.type === "radio" ? one.controls.find((each) => each.checked) ?? one.controls[0] : one.controls[0];
    control?.focus();
  }
  form.addEventListener("keydown", (event) => {
    const one = questionOf(event.target);
    if (event.key !== "Enter" || !one || !event.target.matches("input, select")) return;
    event.preventDefault();
    const shown = [...questions.values()].filter((each) => !each.box.hidden);
    const next = shown[shown.indexOf(one) + 1];
    if (next) focusOn(next);
    else form.querySelector("[name=go_on]").focus();
  });

  // --- Going on: first everything is stored, then the form goes the way it goes without scripts
  let isGoing = false, isStoring = false;
  form.addEventListener("submit", async (event) => {
    if (isGoing) return;
    event.preventDefault();
    if (isStoring) return; // a second click while the first is under way
    const button = event.submitter;
    isStoring = true;
    const went = await sender.flush();
    await new Promise((resolve) => { setTimeout(resolve); }); // browsers ignore a submit from within a submit
    isStoring = false;
    const open = [...questions.values()].find((one) => one.code in sender.kept.stuck || one.code in sender.kept.clashes);
    if (!went || open || !navigator.onLine) {
      if (open) { open.box.scrollIntoView({ block: "center" }); focusOn(open); }
      tell();
      return;
    }
    isGoing = true;
    form.requestSubmit(button?.name === "same" ? null : button);
    isGoing = false;
  });

  // --- What an earlier visit left on this device
  for (const [code, kept] of Object.entries(sender.kept.answers)) {
    const one = questions.get(code);
    if (!one) continue;
    if (kept.text === one.was.value && !kept.same) { delete sender.kept.answers[code]; continue; }
    one.box.hidden = false;
    write(one, kept.text);
    if (kept.same) setConfirmed(one, true);
    setState(one, "waiting", "Waiting, kept on this device");
  }
  for (const [code, kept] of Object.entries(sender.kept.stuck)) {
    const one = questions.get(code);
    if (!one) continue;
    write(one, kept.text);
    refuse(one, kept.message);
  }
  for (const [code, found] of Object.entries(sender.kept.clashes)) {
    if (questions.has(code)) { write(questions.get(code), found.mine); showClash(questions.get(code), found); }
  }
  for (const [rule, kept] of Object.entries(sender.kept.said)) {
    const area = document.getElementById(`explain_${rule}`);
    if (area) area.value = kept.text;
  }
  sender.keep();
  if (sender.waiting()) sender.soon();
})();
