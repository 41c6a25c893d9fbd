// Checkboxes that belong together: one for all of them, a count on the button, kept while the list refreshes.
"use strict";

(() => {
  const chosen = new Set();
  const boxes = (form) => [...form.querySelectorAll("input[type=checkbox][name]")];

  function show(form) {
    const all = form.querySelector("[data-select-all]");
    const ticked = boxes(form).filter((box) => box.checked).length;
    if (all) {
      all.checked = ticked > 0 && ticked === boxes(form).length;
      all.indeterminate = ticked > 0 && !all.checked;
    }
    const label = form.querySelector("[data-selected-label]");
    if (label) label.textContent = ticked ? label.dataset.selectedLabel.replace("%", ticked) : "Make a dataset";
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-selection]");
    if (!form) return;
    if (event.target.matches("[data-select-all]")) boxes(form).forEach((box) => { box.checked = event.target.checked; });
    boxes(form).forEach((box) => (box.checked ? chosen.add(box.value) : chosen.delete(box.value)));
    show(form);
  });

  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("[data-selection]").forEach((form) => {
      boxes(form).forEach((box) => { box.checked = chosen.has(box.value); });
      show(form);
    });
  });

  document.querySelectorAll("[data-selection]").forEach((form) => {
    boxes(form).forEach((box) => { if (box.checked) chosen.add(box.value); });
    show(form);
  });
})();
