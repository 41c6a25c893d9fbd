// Files are sent in parts (tus 1.0, tus-js-client), a few at once, each with its own progress bar. A broken
// connection costs a part; a file that was broken off goes on where it stopped when it is chosen again.
"use strict";

(() => {
  const AT_ONCE = 3;
  const PART_BYTES = 2 * 1024 * 1024;
  const RETRIES = [0, 1000, 3000, 6000, 12000]; // milliseconds
  const form = document.getElementById("upload");
  if (!form || !tus.isSupported) return;
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
  addEventListener("beforeunload", (event) => {
    if (sending || waiting.length) event.preventDefault();
  });

  function add(files) {
    for (const file of files) {
      const row = template.content.firstElementChild.cloneNode(true);
      row.querySelector(".upload-name").textContent = file.name;
      row.querySelector("progress").setAttribute("aria-label", `${file.name}: sent`);
      row.querySelector("[data-dismiss-row]").addEventListener("click", () => row.remove());
      list.append(row);
      if (file.size > Number(form.dataset.maxBytes)) {
        refuse(row, `“${file.name}” is larger than ${form.dataset.maxMegabytes} MB; split it into smaller files.`);
      } else {
        queue({ file, row, matter: form.querySelector("[name=matter]")?.value ?? "" });
      }
    }
    next();
  }

  function queue(job) {
    say(job.row, "Waiting to be sent");
    waiting.push(job);
  }

  function next() {
    while (sending < AT_ONCE && waiting.length) send(waiting.shift());
  }

  async function send(job) {
    const { file, row, matter } = job;
    sending += 1;
    const bar = row.querySelector("progress");
    const upload = new tus.Upload(file, {
      endpoint: form.dataset.parts,
      chunkSize: PART_BYTES,
      retryDelays: RETRIES,
      removeFingerprintOnSuccess: true,
      metadata: { filename: file.name, matter },
      headers: { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value },
      // The same file for another firm or another matter is another upload.
      fingerprint: async () => ["housestyle", form.dataset.sender, matter, file.name, file.size, file.lastModified].join("/"),
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        return status === 0 || status >= 500 || status === 409;
      },
      onProgress: (sent, total) => {
        bar.value = total ? (100 * sent) / total : 100;
        say(row, sent < total ? `Sending, ${Math.floor(bar.value)}%` : "Sent");
      },
      onSuccess: ({ lastResponse }) => {
        const result = parsed(lastResponse?.getHeader("Housestyle-Result"));
        if (result?.reason) refuse(row, result.reason);
        else row.remove();
        done();
      },
      onError: (error) => {
        fail(job, error);
        done();
      },
    });
    say(row, "Sending");
    const [earlier] = await upload.findPreviousUploads();
    if (earlier) {
      upload.resumeFromPreviousUpload(earlier);
      say(row, "Going on where it stopped");
    }
    upload.start();
  }

  function done() {
    sending -= 1;
    htmx.trigger("#documents", "refresh");
    next();
  }

  function fail(job, error) {
    const { file, row } = job;
    const status = error.originalResponse?.getStatus() ?? 0;
    const sentence = error.originalResponse?.getBody() ?? "";
    if (status === 0 || status >= 500) {
      refuse(row, `“${file.name}” did not arrive whole: the connection broke. What arrived is kept.`);
      const again = row.querySelector("[data-again]");
      again.hidden = false;
      again.onclick = () => {
        again.hidden = true;
        row.classList.remove("upload-wrong");
        row.querySelector("progress").hidden = false;
        queue(job);
        next();
      };
    } else if (status === 401 || error.originalResponse?.getHeader("Location")?.includes("/sign-in/")) {
      refuse(row, "You are signed out; sign in again and send it once more.");
    } else if (status === 413) {
      refuse(row, `“${file.name}” is too large to be sent; split it into smaller files.`);
    } else if (sentence && sentence.length < 300 && !sentence.startsWith("<")) {
      refuse(row, sentence);
    } else {
      refuse(row, `“${file.name}” was not kept; load the page again and send it once more.`);
    }
  }

  function parsed(text) {
    try { return JSON.parse(text); } catch { return null; }
  }

  function say(row, text) { row.querySelector(".upload-says").textContent = text; }

  function refuse(row, sentence) {
    row.classList.add("upload-wrong");
    row.querySelector("progress").hidden = true;
    row.querySelector("[data-dismiss-row]").hidden = false;
    say(row, sentence);
  }
})();
