// Choosing a range on a waveform: drag, or move a handle by the arrow keys. Python gets the event "release".
const STEP = 0.01; // seconds an arrow key moves; ten times that with shift
const SHORTEST = 0.02; // seconds of a range

const drawing = () => element.querySelector(".waveform");
const number = (name) => Number(drawing().dataset[name]);
let dragged = null;

function show(start, end) {
  const box = drawing(), duration = number("duration");
  Object.assign(box.dataset, { start, end });
  const chosen = box.querySelector(".chosen");
  chosen.style.left = `${(100 * start) / duration}%`;
  chosen.style.width = `${(100 * (end - start)) / duration}%`;
  for (const handle of box.querySelectorAll(".handle")) {
    const value = handle.dataset.which === "start" ? start : end;
    handle.style.left = `${(100 * value) / duration}%`;
    handle.setAttribute("aria-valuenow", value.toFixed(3));
    handle.setAttribute("aria-valuetext", `${value.toFixed(2)} seconds`);
  }
}

function move(which, seconds) {
  const duration = number("duration");
  let start = number("start"), end = number("end");
  const value = Math.min(Math.max(0, Math.round(seconds * 100) / 100), duration);
  if (which === "start") start = Math.max(0, Math.min(value, end - SHORTEST));
  else end = Math.min(duration, Math.max(value, start + SHORTEST));
  show(start, end);
}

const notify = () => trigger("release", { start: number("start"), end: number("end") });

function secondsAt(event) {
  const box = drawing().getBoundingClientRect();
  return ((event.clientX - box.left) / box.width) * number("duration");
}

element.addEventListener("pointerdown", (event) => {
  const box = event.target.closest(".waveform");
  if (!box || event.button !== 0) return;
  event.preventDefault();
  const handle = event.target.closest(".handle");
  if (handle) dragged = { which: handle.dataset.which };
  else {
    const from = Math.min(Math.max(0, secondsAt(event)), number("duration"));
    dragged = { from, before: [number("start"), number("end")] };
  }
  (handle || box.querySelector(".handle")).focus();
  box.setPointerCapture(event.pointerId);
});

element.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const at = secondsAt(event);
  if (dragged.which) return move(dragged.which, at);
  const clipped = Math.min(Math.max(0, at), number("duration"));
  const ends = [dragged.from, clipped].map((value) => Math.round(value * 100) / 100).sort((a, b) => a - b);
  if (ends[1] - ends[0] >= SHORTEST) show(ends[0], Math.min(ends[1], number("duration")));
});

element.addEventListener("pointerup", () => {
  if (dragged) notify();
  dragged = null;
});

element.addEventListener("pointercancel", () => {
  if (dragged && dragged.before) show(...dragged.before); // a finger that scrolls the page chooses nothing
  dragged = null;
});

element.addEventListener("keydown", (event) => {
  const handle = event.target.closest(".handle");
  if (!handle) return;
  const which = handle.dataset.which, step = event.shiftKey ? 10 * STEP : STEP;
  const steps = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10 * STEP, PageUp: 10 * STEP };
  if (event.key in steps) move(which, number(which) + steps[event.key]);
  else if (event.key === "Home") move(which, 0);
  else if (event.key === "End") move(which, number("duration"));
  else return;
  event.preventDefault();
  notify();
});
