// Checkboxes that belong together: one for all of them, a count on the button, kept while the list refreshes.
"use strict";

(() => {
  const chosen = new Set();
  const boxes = (form) => [...form.querySelectorAll("input[type=checkbox][name]")];

  function sum(all, these) {
    const ticked = these.filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === these.length;
    all.indeterminate = ticked > 0 && !all.checked;
  }

  function show(form) {
    const all = form.querySelector("[data-select-all]");
    const ticked = boxes(form).filter((box) => box.checked).length;
    if (all) sum(all, boxes(form));
    form.querySelectorAll("[data-select-group]").forEach((box) => sum(box, boxes(box.closest("[data-group]"))));
    const label = form.querySelector("[data-selected-label]");
    if (label) label.textContent = ticked ? label.dataset.selectedLabel.replace("%", ticked) : "Make a dataset";
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-selection]");
    if (!form) return;
    if (event.target.matches("[data-select-all]")) boxes(form).forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches("[data-select-group]")) boxes(event.target.closest("[data-group]")).forEach((box) => { box.checked = event.target.checked; });
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
