{% comment %} api/interactive.js: Swagger UI's own start, in the colours that the reader's system asks for. {% endcomment %}
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
{% include "drf_spectacular/swagger_ui.js" %}
