// What is typed into a return is kept on this device until the server has it, sent field by field, and sent again when
// the line is back. Used by entry.js (one block) and grid.js (many units). Nothing here ever hands a return in.
(() => {
  "use strict";

  const PREFIX = "entry:";
  const WARN_SECONDS = 5 * 60;
  const IDLE_SEND = 10_000; // while somebody goes on typing in one field
  const LONGEST_PAUSE = 60_000;

  // --- The copy on this device: sessionStorage, so that it ends with the tab. Without it, typing goes on unkept.
  const box = {
    keys: () => { try { return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX)); } catch { return []; } },
    get: (key) => { try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; } },
    set: (key, value) => { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch { /* full or forbidden */ } },
    drop: (key) => { try { sessionStorage.removeItem(key); } catch { /* forbidden */ } },
  };

  // A receipt wipes what was kept of its return.
  document.querySelectorAll("[data-wipe]").forEach((place) => {
    box.keys().filter((key) => key.endsWith(`:${place.dataset.wipe}`)).forEach(box.drop);
  });

  const form = document.querySelector("[data-person]");
  if (!form) return;
  const { person } = form.dataset;
  // Another person's words are neither shown nor sent.
  box.keys().filter((key) => !key.startsWith(`${PREFIX}${person}:`)).forEach(box.drop);

  const clock = new Intl.DateTimeFormat(document.documentElement.lang || "en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const time = (text) => clock.format(text ? new Date(text) : new Date());
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  // --- The sign-in: warned of five minutes before its end, kept with one small request.
  const session = {
    until: Date.now() + Number(form.dataset.secondsLeft || 43_200) * 1000,
    url: "",
    ended: false,
    dialog: (name) => document.querySelector(`[data-session="${name}"]`),
    open(name) {
      const dialog = this.dialog(name);
      if (dialog && !dialog.open) dialog.showModal();
    },
    close(name) {
      const dialog = this.dialog(name);
      if (dialog?.open) dialog.close();
    },
    lasts(seconds) {
      if (!Number.isFinite(seconds)) return;
      this.until = Date.now() + seconds * 1000;
      this.ended = false;
      this.close("ending");
      this.close("ended");
    },
    end() {
      if (this.ended) return;
      this.ended = true;
      this.close("ending");
      const link = document.querySelector("[data-session-sign-in]");
      if (link) link.href = `${form.dataset.signIn}?next=${encodeURIComponent(location.pathname + location.search)}`;
      this.open("ended");
      tell();
    },
    async ask() {
      const answer = await fetch(this.url, { headers: { Accept: "application/json", "X-Person": person } });
      if (answer.status === 401) return this.end();
      if (!answer.ok) throw new Error(String(answer.status));
      const state = await answer.json();
      setToken(state.token);
      this.lasts(state.seconds_left);
      return state;
    },
    tick() {
      const left = Math.round((this.until - Date.now()) / 1000);
      if (this.ended || left > WARN_SECONDS) return;
      if (left <= 0) return this.end();
      const place = document.querySelector("[data-session-minutes]");
      const words = left > 60 ? plural(Math.ceil(left / 60), "minute") : "less than a minute";
      if (place && place.textContent !== words) place.textContent = words;
      this.open("ending");
    },
  };
  setInterval(() => session.tick(), 5000);
  document.querySelector("[data-session-stay]")?.addEventListener("click", () => {
    session.ask().catch(() => session.close("ending"));
  });
  document.querySelector("[data-session-close]")?.addEventListener("click", () => session.close("ended"));

  const tokenField = form.querySelector("[name=csrfmiddlewaretoken]");
  const setToken = (token) => { if (token && tokenField) tokenField.value = token; };

  // What the server says may push a button away from under the finger: it is shown once the press is over.
  let released = Promise.resolve();
  addEventListener("pointerdown", () => {
    released = new Promise((resolve) => {
      const done = () => setTimeout(resolve, 50); // the click, and its focus, come after the finger has left
      addEventListener("pointerup", done, { once: true });
      addEventListener("pointercancel", done, { once: true });
    });
  }, true);

  // --- One return: what waits, what was refused, what others changed.
  const senders = [];

  class Sender {
    constructor({ url, id, scale, check = false, hooks }) {
      Object.assign(this, { url, scale, check, hooks });
      this.key = `${PREFIX}${person}:${id}`;
      this.kept = { answers: {}, said: {}, stuck: {}, clashes: {}, ...box.get(this.key) };
      this.scale = this.waiting() && this.kept.scale ? this.kept.scale : scale;
      this.pause = 0;
      this.fault = "";
      this.locked = "";
      this.busy = null;
      this.timer = 0;
      this.isSoon = false;
      session.url ||= url;
      senders.push(this);
    }

    waiting() { return Object.keys(this.kept.answers).length + Object.keys(this.kept.said).length; }

    keep() {
      const { answers, said, stuck, clashes } = this.kept;
      const holds = [answers, said, stuck, clashes].some((part) => Object.keys(part).length);
      if (holds) box.set(this.key, { ...this.kept, scale: this.scale });
      else box.drop(this.key);
      tell();
    }

    // text: what the field would send; was: what is stored as far as this page knows; same: "as last year".
    put(code, text, was, same = false) {
      delete this.kept.stuck[code];
      if (text === was && !same) delete this.kept.answers[code];
      else this.kept.answers[code] = { text, was: this.kept.answers[code]?.was ?? was, same };
      this.keep();
    }

    say(rule, text, was) {
      if (text.trim() === was.trim()) delete this.kept.said[rule];
      else this.kept.said[rule] = { text, was: this.kept.said[rule]?.was ?? was };
      this.keep();
    }

    later() { if (!this.isSoon) this.plan(IDLE_SEND); } // typing on in the next field holds nothing up
    soon() { this.plan(30); this.isSoon = true; }
    plan(delay) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), delay);
    }

    // Send what waits; resolves when nothing is under way. True where everything is stored or refused with a reason.
    async flush() {
      clearTimeout(this.timer);
      this.isSoon = false;
      while (this.busy) await this.busy;
      if (!this.waiting() || this.locked || session.ended) return !this.waiting();
      this.busy = this.send().finally(() => { this.busy = null; });
      const went = await this.busy;
      if (went && this.waiting() && !this.locked) return this.flush();
      return went && !this.waiting();
    }

    async send(again = false) {
      const answers = structuredClone(this.kept.answers);
      const said = structuredClone(this.kept.said);
      const body = {
        scale: this.scale,
        check: this.check,
        answers: Object.fromEntries(Object.entries(answers).map(([code, one]) => [code, one.text])),
        was: Object.fromEntries([...Object.entries(answers), ...Object.entries(said)].map(([name, one]) => [name, one.was])),
        explanations: Object.fromEntries(Object.entries(said).map(([rule, one]) => [rule, one.text])),
        confirmed: Object.keys(answers).filter((code) => answers[code].same),
      };
      let answer;
      try {
        answer = await fetch(this.url, {
          method: "POST",
          keepalive: true,
          headers: {
            "Content-Type": "application/json",
            Accept: "application/json",
            "X-CSRFToken": tokenField?.value ?? "",
            "X-Person": person,
          },
          body: JSON.stringify(body),
        });
        if (answer.status === 401) { session.end(); return false; }
        if (answer.status === 403 && !again) {
          await session.ask();
          return session.ended ? false : this.send(true);
        }
        if (answer.status >= 500 || answer.status === 429 || answer.status === 403) throw new Error(String(answer.status));
        const found = await answer.json();
        await released;
        return this.take(answer.status, found, answers, said);
      } catch {
        await released;
        return this.fail(answer ? "The server does not answer." : "No connection.");
      }
    }

    fail(words) {
      this.fault = words;
      this.pause = Math.min(LONGEST_PAUSE, this.pause ? this.pause * 2 : 2000);
      this.plan(this.pause + Math.random() * 500);
      this.hooks.waits?.();
      tell();
      return false;
    }

    take(status, found, answers, said) {
      this.fault = "";
      this.pause = 0;
      session.lasts(found.seconds_left);
      if (status === 409 || status === 404 || status === 422) {
        this.locked = found.message || "This return can no longer be changed here.";
        this.hooks.locked?.(this.locked);
        this.keep();
        return false;
      }
      if (status === 412) this.clash(found);
      else this.stored(found, answers, said);
      const moved = found.scale !== this.scale;
      this.keep();
      if (moved && !this.waiting()) location.reload();
      return true;
    }

    stored(found, answers, said) {
      const refused = Object.fromEntries(found.refused.map((one) => [one.question, one]));
      for (const [code, sent] of Object.entries(answers)) {
        const now = this.kept.answers[code];
        const is = found.fields[code]?.text ?? (refused[code] ? sent.was : sent.text);
        if (now && now.text === sent.text && now.same === sent.same) delete this.kept.answers[code];
        else if (now) now.was = is;
        if (refused[code] && !this.kept.answers[code]) {
          this.kept.stuck[code] = { text: sent.text, was: sent.was, message: `${refused[code].message} ${refused[code].mend}`.trim() };
        }
      }
      for (const [rule, sent] of Object.entries(said)) {
        const now = this.kept.said[rule];
        if (now && now.text === sent.text) delete this.kept.said[rule];
        else if (now) now.was = sent.text.trim();
      }
      this.hooks.saved(found, Object.keys(answers), refused);
      tell(found.saved_at);
    }

    clash(found) {
      for (const one of found.conflicts) {
        const said = this.kept.said[one.question];
        if (said) {
          // Both explanations stand, one under the other: words need no winner.
          said.text = [one.theirs, said.text].filter(Boolean).join("\n");
          said.was = one.theirs;
          this.hooks.explained?.(one.question, said.text);
          continue;
        }
        const mine = this.kept.answers[one.question];
        if (mine) one.mine = mine.text;
        delete this.kept.answers[one.question];
        this.kept.clashes[one.question] = one;
        this.hooks.clash(one);
      }
    }

    settle(code, text, was) {
      delete this.kept.clashes[code];
      if (text !== was) this.kept.answers[code] = { text, was, same: false };
      this.keep();
      this.soon();
    }
  }

  // --- The one quiet line, and "Saved 10:42".
  const line = document.querySelector("[data-line]");
  const lineText = document.querySelector("[data-line-text]");
  const savedPlace = document.querySelector("[data-saved]");
  const waitingAll = () => senders.reduce((sum, one) => sum + one.waiting(), 0);

  function tell(savedAt) {
    const waiting = waitingAll();
    const fault = !navigator.onLine ? "No connection." : senders.find((one) => one.fault)?.fault;
    const locked = senders.find((one) => one.locked)?.locked;
    let words = "";
    if (session.ended) words = `You are signed out. What you type is kept on this device and sent when you have signed in again${waiting ? ` (${plural(waiting, "field")} waiting)` : ""}.`;
    else if (locked) words = `${locked} What you typed stays on this page, so that you can copy it.`;
    else if (fault) words = `${fault} What you type is kept on this device and sent when the line is back${waiting ? ` (${plural(waiting, "field")} waiting)` : ""}.`;
    if (line) line.hidden = !words;
    if (lineText && lineText.textContent !== words) lineText.textContent = words;
    if (savedPlace && savedAt && !waiting) {
      const saved = `Saved ${time(savedAt)}`;
      if (savedPlace.textContent !== saved) savedPlace.textContent = saved;
    } else if (savedPlace && waiting && fault) {
      savedPlace.textContent = `${plural(waiting, "field")} waiting`;
    }
  }

  const everyone = () => senders.forEach((one) => { one.pause = 0; if (one.waiting()) one.soon(); });
  addEventListener("online", () => { senders.forEach((one) => { one.fault = ""; }); tell(); everyone(); });
  addEventListener("offline", () => tell());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) senders.forEach((one) => one.flush());
    else if (session.ended) session.ask().then(() => { tell(); everyone(); }).catch(() => {});
    else everyone();
  });
  addEventListener("beforeunload", (event) => { if (waitingAll()) event.preventDefault(); });

  // --- Changes on last year, in the words of facts/wording.py.
  const digits = (text) => text.replace(/[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef]/g, (one) => {
    const base = [0x660, 0x6f0, 0x966, 0x9e6].find((start) => one.charCodeAt(0) >= start && one.charCodeAt(0) < start + 10);
    return String(one.charCodeAt(0) - base);
  });
  const number = (text) => {
    const plain = digits(text).replace(/[,\s]/g, "").replace("\u2212", "-");
    return /^[-+]?\d+(\.\d*)?$|^[-+]?\.\d+$/.test(plain) ? Number(plain) : NaN;
  };
  const signed = (change, text) => (change < 0 ? "\u2212" : "+") + text;
  const grouped = (value, decimals) => value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

  function change(kind, unit, text, beforeText) {
    if (!["integer", "decimal", "percent", "money"].includes(kind) || unit === "year") return "";
    const [value, before] = [number(text), number(beforeText)];
    if (Number.isNaN(value) || Number.isNaN(before)) return "";
    if (value === before) return "same";
    if (kind === "percent") return `${signed(value - before, grouped(Math.abs(value - before), 1).replace(/\.0$/, ""))} points`;
    if (!before || (value && value > 0 !== before > 0)) return "";
    if (value / before >= 10) return `${grouped(value / before, 0)} times`;
    const percent = ((value - before) / Math.abs(before)) * 100;
    if (Math.abs(percent) < 0.05) return "nearly the same";
    return `${signed(percent, grouped(Math.abs(percent), Math.abs(percent) >= 9.95 ? 0 : 1))} %`;
  }

  const announce = (words) => {
    const place = document.querySelector("[data-announce]");
    if (place) place.textContent = words;
  };

  const afterPress = () => released;
  window.Saving = { Sender, form, afterPress, change, number, plural, time, announce, tell };
})();
