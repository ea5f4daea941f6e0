// Instants in the reader's own zone and words; without scripts they stand in UTC.
(() => {
  "use strict";

  const language = document.documentElement.lang || "en";
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "long" });
  const full = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" });
  const sameDay = (one, other) => one.toDateString() === other.toDateString();

  const words = (at) => {
    const now = new Date();
    const yesterday = new Date(now.getTime() - 86_400_000);
    if (sameDay(at, now)) return clock.format(at);
    if (sameDay(at, yesterday)) return `yesterday ${clock.format(at)}`;
    return `${(at.getFullYear() === now.getFullYear() ? day : full).format(at)}, ${clock.format(at)}`;
  };

  document.querySelectorAll("time[data-local]").forEach((place) => {
    const at = new Date(place.dateTime);
    if (Number.isNaN(at.getTime())) return;
    place.title = place.textContent;
    place.textContent = words(at);
  });
})();
