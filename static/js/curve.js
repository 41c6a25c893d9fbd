// The loss curve: training loss by step, every held-out loss with the best one marked. Asked for until the run has
// ended; only what is new is sent, unless the run went back to a checkpoint.
"use strict";

(() => {
  const EVERY = 1000;
  const figure = document.getElementById("curve");
  const plot = figure.querySelector(".curve-plot");
  const says = figure.querySelector("figcaption");
  const away = document.getElementById("away");
  let chart = null;
  let shown = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function options(data) {
    const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "13px system-ui" };
    const value = (_, loss) => (loss == null ? "–" : loss.toFixed(2));
    return {
      width: plot.clientWidth,
      height: 300,
      cursor: { y: false, points: { size: 7 } },
      scales: {
        x: { time: false, range: [0, Math.max(data.steps, 1)] },
        y: { range: (_, low, high) => (low == null ? [0, 1] : [Math.max(0, low - 0.15), high + 0.15]) },
      },
      axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000], size: 34 }, { ...axis, size: 46 }],
      series: [
        { label: "Step", value: (_, step) => (step == null ? "–" : step) },
        { label: "Training loss", stroke: colour("--train"), width: 2, spanGaps: true, points: { show: false }, value },
        { label: "Held-out loss", stroke: colour("--heldout"), width: 2, dash: [6, 5], spanGaps: true, points: { show: true, size: 9, width: 2, fill: colour("--sheet") }, value },
        { label: "Best", stroke: colour("--good"), width: 0, points: { show: true, size: 13, width: 3, fill: colour("--sheet") }, value },
      ],
    };
  }

  function columns(data) {
    const train = new Map(data.train);
    const heldout = new Map(data.heldout);
    const steps = [...new Set([...train.keys(), ...heldout.keys()])].sort((a, b) => a - b);
    const best = (step) => (step === data.best ? heldout.get(step) ?? null : null);
    return [steps, steps.map((step) => train.get(step) ?? null), steps.map((step) => heldout.get(step) ?? null), steps.map(best)];
  }

  function draw() {
    if (!shown?.train.length && !shown?.heldout.length) return; // before there is a point there is nothing to see
    chart?.destroy();
    chart = new uPlot(options(shown), columns(shown), plot);
  }

  function describe(data) {
    const last = data.train.at(-1);
    const [before, now] = [data.heldout[0], data.heldout.length > 1 ? data.heldout.at(-1) : null];
    const best = data.heldout.find(([step]) => step > 0 && step === data.best);
    const parts = [];
    if (last) parts.push(`Training loss ${last[1].toFixed(2)} at step ${last[0]}.`);
    if (now) parts.push(`Held-out loss ${before[1].toFixed(2)} before, ${now[1].toFixed(2)} at step ${now[0]}.`);
    else if (before) parts.push(`Held-out loss ${before[1].toFixed(2)} before training.`);
    if (best) parts.push(`The best is ${best[1].toFixed(2)}, at step ${best[0]}.`);
    says.textContent = parts.join(" ") || "No step yet.";
  }

  // The training losses so far and the new ones after them; null when the run went back to a checkpoint.
  function joined(data, after) {
    if (!after) return data;
    if (data.step < after) return null;
    return { ...data, train: [...shown.train, ...data.train] };
  }

  async function ask(after) {
    const answer = await fetch(`${figure.dataset.url}?after=${after}`, { headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 404) return { ended: true };
    if (!answer.ok) throw new Error(answer.status);
    return joined(await answer.json(), after);
  }

  async function refresh() {
    let ended = false;
    try {
      const data = (await ask(shown?.train.at(-1)?.[0] ?? 0)) ?? (await ask(0));
      away.hidden = true;
      ended = data.ended;
      if (data.train) {
        const grew = !shown || data.steps !== shown.steps;
        shown = data;
        if (chart && !grew) chart.setData(columns(data));
        else draw();
        describe(data);
      }
    } catch {
      away.hidden = false; // the next try comes anyway
    }
    if (!ended) setTimeout(refresh, EVERY);
  }

  new ResizeObserver(() => chart?.setSize({ width: plot.clientWidth, height: 300 })).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  refresh();
})();
