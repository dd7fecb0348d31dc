"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const plots = document.querySelectorAll(".plot");
const BUTTONS = [["zoom2d", "pan2d", "resetScale2d", "toImage"]];
const CONFIG = {responsive: true, displaylogo: false, modeBarButtons: BUTTONS, plotlyServerURL: ""};

/** The text that an element carries compressed. */
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/** A colour that would drown in a dark page, half way to white. */
function lifted(color) {
  if (!/^#[0-9a-f]{6}$/i.test(color)) return color;
  const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  if (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] > 80) return color;
  return `rgb(${parts.map((part) => Math.round((part + 255) / 2)).join(",")})`;
}

/** A copy of a figure in the colours of the reader's scheme. */
function themed(figure) {
  const copy = structuredClone(figure);
  const css = getComputedStyle(document.documentElement);
  const [ink, soft, rule, card] = ["--ink", "--soft", "--rule", "--card"].map((name) => css.getPropertyValue(name).trim());
  const layout = Object.assign(copy.layout, {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: css.getPropertyValue("--face"), size: 13, color: ink},
    modebar: {bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink},
    hoverlabel: {bgcolor: card, bordercolor: rule, font: {color: ink}, align: "left", namelength: -1},
  });
  for (const [key, axis] of Object.entries(layout)) {
    if (/^[xy]axis/.test(key)) Object.assign(axis, {gridcolor: rule, linecolor: ink, showline: true, ticks: "outside", tickcolor: rule});
  }
  for (const shape of layout.shapes ?? []) shape.line.color = ink;
  for (const trace of copy.data) {
    if (trace.type === "bar" && trace.error_y) trace.error_y.color = ink;
  }
  for (const part of dark.matches ? copy.data.flatMap((trace) => [trace.line, trace.marker, trace.marker?.line]) : []) {
    if (typeof part?.color === "string") part.color = lifted(part.color);
  }
  return copy;
}

async function main() {
  const library = document.createElement("script");
  library.textContent = await unpacked("library");
  document.head.append(library);
  const figures = JSON.parse(await unpacked("figures"));
  const draw = async (plot) => {
    const figure = themed(figures[plot.id]);
    await Plotly.react(plot, figure.data, figure.layout, CONFIG);
    plot.dataset.drawn = "yes";
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, {rootMargin: "600px"});
  plots.forEach((plot) => seen.observe(plot));
  dark.addEventListener("change", () => document.querySelectorAll(".plot[data-drawn]").forEach(draw));
  addEventListener("beforeprint", () => plots.forEach(draw));
}

main().catch((error) => {
  const reason = typeof DecompressionStream === "undefined" ? "this browser is too old for them" : error.message;
  plots.forEach((plot) => plot.replaceChildren(`The figure can't be drawn: ${reason}`));
  console.error(error);
});
