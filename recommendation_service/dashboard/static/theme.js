// Light or dark: as the system has it, until somebody chooses. In the head, so that nothing flashes.

(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme");

  function apply() {
    root.dataset.theme = chosen() ?? (system.matches ? "dark" : "light");
    root.dispatchEvent(new Event("themechange"));
  }

  system.addEventListener("change", apply);
  apply();

  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
      apply();
    });
  });
})();
