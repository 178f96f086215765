"use strict";
// One moment, shown in every panel at once: hover, drag the slider, use the arrow keys or play.
const flight = JSON.parse(document.getElementById("flight-data").textContent);
const end = flight.end;
const slider = document.getElementById("time");
const play = document.getElementById("play");
const now = document.getElementById("now");
let moment = 0, playing = null;

// The row whose time is nearest.
function nearest(times, t) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1; else high = middle;
  }
  return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : low;
}

// The row that was the newest at the time.
function newest(times, t) {
  const row = nearest(times, t);
  return times[row] > t && row > 0 ? row - 1 : row;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

const updates = [];

for (const figure of document.querySelectorAll("[data-panel]")) {
  const panel = flight.panels[figure.dataset.panel];
  if (figure.dataset.panel === "path") {
    for (const svg of figure.querySelectorAll("svg")) updates.push(mapUpdate(svg, panel));
  } else {
    updates.push(timeUpdate(figure, figure.querySelector("svg"), panel));
  }
}

function mapUpdate(svg, panel) {
  const [ox, oy] = svg.dataset.origin.split(",").map(Number);
  const [rx, ry] = svg.dataset.right.split(",").map(Number);
  const metre = Number(svg.dataset.metre), above = svg.dataset.view === "above";
  const { x, y, z, yaw } = panel.columns;
  const place = (row) => [
    ox + metre * (rx * x[row] + ry * y[row]), oy - metre * (above ? y[row] : z[row]),
  ];
  const drone = svg.querySelector(".drone");
  hover(svg, (px, py) => {
    let best = 0, least = Infinity;
    for (let row = 0; row < x.length; row++) {
      if (x[row] === null) continue;
      const [a, b] = place(row), gap = (a - px) ** 2 + (b - py) ** 2;
      if (gap < least) { least = gap; best = row; }
    }
    show(panel.times[best]);
  });
  return (t) => {
    const row = nearest(panel.times, t);
    if (x[row] === null) return;
    const [a, b] = place(row);
    drone.setAttribute("transform", `translate(${a} ${b}) rotate(${-(yaw[row] || 0) * 180 / Math.PI})`);
  };
}

function timeUpdate(figure, svg, panel) {
  const left = Number(svg.dataset.left), right = Number(svg.dataset.right);
  const toX = (t) => left + (t / end) * (right - left);
  const cursor = svg.querySelector(".cursor"), heat = panel.cells !== undefined;
  const values = figure.querySelectorAll(".legend [data-column]");
  const dots = [...svg.querySelectorAll(".dot")].map((dot) => {
    const line = [...svg.querySelectorAll("path[data-scale]")]
      .find((path) => path.dataset.column === dot.dataset.column);
    const [low, high, start, stop] = line.dataset.scale.split(",").map(Number);
    return { dot, toY: (v) => start + ((v - low) / (high - low)) * (stop - start) };
  });
  let row = 0;
  hover(svg, (px, py) => {
    if (heat) row = rowUnder(svg, py);
    show(Math.min(Math.max((px - left) / (right - left), 0), 1) * end);
  });
  return (t) => {
    const at = (heat ? newest : nearest)(panel.times, t), x = toX(t);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    if (heat) {
      values[0].querySelector("b").textContent = row;
      values[0].querySelector("output").textContent = short(panel.cells[at][row]);
      return;
    }
    for (const item of values) {
      item.querySelector("output").textContent = short(panel.columns[item.dataset.column][at]);
    }
    for (const { dot, toY } of dots) {
      const value = panel.columns[dot.dataset.column][at];
      dot.classList.toggle("on", value !== null);
      if (value === null) continue;
      dot.setAttribute("cx", toX(panel.times[at]));
      dot.setAttribute("cy", toY(value));
    }
  };
}

// The row of a heat map under the pointer, framed.
function rowUnder(svg, py) {
  const rows = Number(svg.dataset.rows), top = Number(svg.dataset.top);
  const size = (Number(svg.dataset.bottom) - top) / rows;
  const row = Math.min(Math.max(Math.floor((py - top) / size), 0), rows - 1);
  const frame = svg.querySelector(".row");
  frame.setAttribute("y", top + row * size);
  frame.setAttribute("height", size);
  frame.style.visibility = "visible";
  return row;
}

// Calls back with the pointer's place in the picture's own units.
function hover(svg, callback) {
  svg.addEventListener("pointermove", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(svg.getScreenCTM().inverse());
    stop();
    callback(place.x, place.y);
  });
}

function show(t) {
  moment = Math.min(Math.max(t, 0), end);
  document.body.classList.add("live");
  slider.value = moment;
  now.textContent = `${moment.toFixed(2)} s`;
  for (const update of updates) update(moment);
}

function stop() {
  if (playing !== null) cancelAnimationFrame(playing);
  playing = null;
  play.innerHTML = "&#9654;";
  play.setAttribute("aria-label", "Play");
}

function start() {
  const from = moment >= end ? 0 : moment, since = performance.now();
  play.innerHTML = "&#10074;&#10074;";
  play.setAttribute("aria-label", "Pause");
  const step = (clock) => {
    show(from + (clock - since) / 1000);
    if (moment >= end) stop(); else playing = requestAnimationFrame(step);
  };
  playing = requestAnimationFrame(step);
}

play.addEventListener("click", () => (playing === null ? start() : stop()));
slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
document.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  if (event.target === slider || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in steps) { stop(); show(moment + steps[event.key] * (event.shiftKey ? 0.5 : 0.05)); }
  if (event.key === " " && event.target !== play) {
    event.preventDefault();
    if (playing === null) start(); else stop();
  }
});
const linked = /^#t=([\d.]+)$/.exec(location.hash);
if (linked) show(Number(linked[1]));
