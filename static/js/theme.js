// Follow the system's light or dark mode. It runs before the first paint, so that nothing flashes.
"use strict";

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  follow();
  dark.addEventListener("change", follow);
  document.documentElement.classList.add("scripted");
})();
