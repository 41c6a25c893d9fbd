// Files are sent one request each, so that a bad one costs itself alone and each has its own progress bar.
"use strict";

(() => {
  const AT_ONCE = 3;
  const form = document.getElementById("upload");
  if (!form) return;
  const list = document.getElementById("uploads");
  const input = form.querySelector("input[type=file]");
  const template = document.getElementById("upload-row");
  const waiting = [];
  let sending = 0;

  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  for (const type of ["dragenter", "dragover"]) {
    form.addEventListener(type, (event) => {
      event.preventDefault();
      form.classList.add("drop-over");
    });
  }
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) form.classList.remove("drop-over");
  });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("drop-over");
    add(event.dataTransfer.files);
  });
  // A file dropped beside the zone must not replace the page.
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());

  function add(files) {
    for (const file of files) {
      const row = template.content.firstElementChild.cloneNode(true);
      row.querySelector(".upload-name").textContent = file.name;
      row.querySelector("progress").setAttribute("aria-label", `${file.name}: sent`);
      row.querySelector("button").addEventListener("click", () => row.remove());
      list.append(row);
      if (file.size > Number(form.dataset.maxBytes)) {
        refuse(row, `“${file.name}” is larger than ${form.dataset.maxMegabytes} MB; split it into smaller files.`);
      } else {
        say(row, "Waiting to be sent");
        waiting.push({ file, row });
      }
    }
    next();
  }

  function next() {
    while (sending < AT_ONCE && waiting.length) send(waiting.shift());
  }

  function send({ file, row }) {
    sending += 1;
    const request = new XMLHttpRequest();
    const bar = row.querySelector("progress");
    const body = new FormData();
    body.append("file", file);
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      say(row, event.loaded < event.total ? `Sending, ${Math.floor(bar.value)}%` : "Sent");
    });
    request.addEventListener("loadend", () => {
      sending -= 1;
      end(row, request, file);
      htmx.trigger("#documents", "refresh");
      next();
    });
    say(row, "Sending");
    request.send(body);
  }

  function end(row, request, file) {
    const result = parsed(request.responseText)?.results?.[0];
    if (request.status === 201 && !result.reason) row.remove();
    else if (result?.reason) refuse(row, result.reason);
    else if (request.status === 0) refuse(row, `“${file.name}” did not arrive: the connection broke; send it again.`);
    else if (request.status === 413) refuse(row, `“${file.name}” is too large to be sent; split it into smaller files.`);
    else if (request.responseURL.includes("/sign-in/")) refuse(row, "You are signed out; sign in again and send it once more.");
    else refuse(row, `“${file.name}” was not kept; load the page again and send it once more.`);
  }

  function parsed(text) {
    try { return JSON.parse(text); } catch { return null; }
  }

  function say(row, text) { row.querySelector(".upload-says").textContent = text; }

  function refuse(row, sentence) {
    row.classList.add("upload-wrong");
    row.querySelector("progress").hidden = true;
    row.querySelector("button").hidden = false;
    say(row, sentence);
  }
})();
