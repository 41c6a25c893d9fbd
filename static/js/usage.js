// Tokens by period as bars, those out upon those in, and requests as a line on a scale of its own.
"use strict";

(() => {
  const figure = document.getElementById("usage");
  const plot = figure.querySelector(".curve-plot");
  const data = JSON.parse(document.getElementById("usage-data").textContent);
  let chart = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const whole = (value) => (value == null ? "–" : value.toLocaleString("en"));
  const both = data.tokens_in.map((tokens, at) => tokens + data.tokens_out[at]);

  function options() {
    const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "13px system-ui" };
    const bars = uPlot.paths.bars({ size: [0.7, 40] });
    const figures = (_, ticks) => ticks.map((tick) => (tick % 1 ? "" : Intl.NumberFormat("en", { notation: "compact" }).format(tick)));
    const upwards = (_, __, high) => [0, Math.max(high ?? 0, 1) * 1.1];
    return {
      width: plot.clientWidth,
      height: 300,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, points: { size: 7 } },
      scales: { y: { range: upwards }, requests: { range: upwards } },
      axes: [{ ...axis, size: 40 }, { ...axis, size: 56, values: figures }, { ...axis, scale: "requests", side: 1, size: 46, grid: { show: false }, values: figures }],
      series: [
        { label: "Begins (UTC)" },
        { label: "Tokens out", fill: colour("--heldout"), stroke: colour("--heldout"), paths: bars, points: { show: false }, value: (_, __, ___, at) => whole(at == null ? null : data.tokens_out[at]) },
        { label: "Tokens in", fill: colour("--train"), stroke: colour("--train"), paths: bars, points: { show: false }, value: (_, tokens) => whole(tokens) },
        { label: "Requests", scale: "requests", stroke: colour("--ink"), width: 2, points: { show: true, size: 6 }, value: (_, requests) => whole(requests) },
      ],
    };
  }

  function draw() {
    chart?.destroy();
    chart = new uPlot(options(), [data.begins, both, data.tokens_in, data.requests], plot);
  }

  new ResizeObserver(() => chart?.setSize({ width: plot.clientWidth, height: 300 })).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
