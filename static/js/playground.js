// One prompt to several columns at once; each answer streams into its own card, always as text, never as HTML.
"use strict";

(() => {
  const form = document.getElementById("playground");
  const prompt = document.getElementById("prompt");
  const answers = document.getElementById("answers");
  const template = document.getElementById("answer");
  const problem = document.getElementById("problem");
  const send = document.getElementById("send");
  const stop = document.getElementById("stop");
  const mark = document.getElementById("mark");
  const MAX_WORDS = 1200; // comparing is quadratic: beyond this nothing is marked
  let stopping = new AbortController();
  let cards = [];

  for (const button of document.querySelectorAll("[data-prompt]")) {
    button.addEventListener("click", () => {
      prompt.value = button.dataset.prompt;
      prompt.focus();
    });
  }
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  stop.addEventListener("click", () => stopping.abort());
  mark.addEventListener("change", compare);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!send.disabled) ask();
  });

  async function ask() {
    const chosen = [...form.querySelectorAll("[name=column]:checked")];
    const wrong = !prompt.value.trim() ? "Write a prompt first." : !chosen.length ? "Choose at least one column." : "";
    problem.hidden = !wrong;
    problem.textContent = wrong;
    if (wrong) return;
    stopping = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    answers.replaceChildren();
    cards = chosen.map((box) => card(box));
    await Promise.all(cards.map((one) => stream(one)));
    send.disabled = false;
    stop.disabled = true;
    compare();
  }

  function card(box) {
    const element = template.content.firstElementChild.cloneNode(true);
    element.querySelector("h2").textContent = box.dataset.label;
    element.querySelector("header p").textContent = box.dataset.detail;
    answers.append(element);
    return {
      id: box.value,
      element,
      body: element.querySelector(".answer-text"),
      foot: element.querySelector("footer"),
      text: "",
    };
  }

  async function stream(one) {
    one.element.classList.add("answer-writing");
    one.foot.textContent = "Waiting for the first word";
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        signal: stopping.signal,
        headers: {
          "Content-Type": "application/json",
          "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value,
        },
        body: JSON.stringify({
          column: one.id,
          prompt: prompt.value,
          max_tokens: Number(document.getElementById("max-tokens").value),
          temperature: Number(document.getElementById("temperature").value),
        }),
      });
      if (!answer.ok) throw new Error(await sentence(answer));
      for await (const event of events(answer.body)) take(one, event);
      if (!one.ended) throw new Error("The answer broke off; send the prompt again.");
    } catch (error) {
      const stopped = error.name === "AbortError";
      if (!stopped) one.element.classList.add("answer-wrong");
      const away = error instanceof TypeError ? "The server is not answering; try again in a moment." : error.message;
      one.foot.textContent = stopped ? "Stopped" : away;
    }
    one.element.classList.remove("answer-writing");
  }

  function take(one, event) {
    if (event.error) throw new Error(event.error);
    if (event.text) {
      one.text += event.text;
      one.body.textContent = one.text;
      one.foot.textContent = "Writing";
    }
    if (event.done) {
      one.ended = true;
      const speed = event.seconds > 0 ? `, ${(event.tokens / event.seconds).toFixed(0)} a second` : "";
      one.foot.textContent = `${event.tokens} tokens in ${event.seconds.toFixed(1)} seconds${speed}`;
    }
  }

  async function sentence(answer) {
    try {
      return (await answer.json()).error.message;
    } catch {
      return "This did not work; load the page again and send the prompt once more.";
    }
  }

  // Server-sent events: blocks apart by a blank line, each one JSON after “data: ”.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ")) yield JSON.parse(block.slice(6));
    }
  }

  // Every word of a later answer that the first one does not have in this place is marked.
  function compare() {
    const [first, ...others] = cards.filter((one) => one.text);
    for (const one of others) {
      const words = split(one.text);
      const base = split(first.text);
      const tooLong = Math.max(words.length, base.length) > MAX_WORDS;
      if (!mark.checked || tooLong) one.body.textContent = one.text;
      else show(one.body, words, shared(base, words));
    }
  }

  const split = (text) => text.match(/\s+|\S+/g) ?? [];
  const isSpace = (word) => /^\s+$/.test(word);

  // The longest common subsequence: for each of `words`, whether it belongs to it.
  function shared(base, words) {
    const [a, b] = [base.filter((word) => !isSpace(word)), words.map((word, i) => i).filter((i) => !isSpace(words[i]))];
    const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i -= 1) {
      for (let j = b.length - 1; j >= 0; j -= 1) {
        table[i][j] = a[i] === words[b[j]] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
      }
    }
    const same = new Set();
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      if (a[i] === words[b[j]]) { same.add(b[j]); i += 1; j += 1; }
      else if (table[i + 1][j] >= table[i][j + 1]) i += 1;
      else j += 1;
    }
    return same;
  }

  function show(body, words, same) {
    body.replaceChildren();
    words.forEach((word, i) => {
      if (isSpace(word) || same.has(i)) return body.append(word);
      const marked = document.createElement("mark");
      marked.textContent = word;
      return body.append(marked);
    });
  }
})();
