// Buttons of the cards become events in Python; spectrograms show the position of their player.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action, index = "0" } = button.dataset;
  trigger("click", { action, index: Number(index), job: button.closest("[data-job]").dataset.job });
});

for (const name of ["timeupdate", "seeked", "play"]) {
  element.addEventListener(name, showPlayhead, true); // media events do not bubble
}

element.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll(".sound audio")) if (other !== event.target) other.pause();
}, true);

function showPlayhead(event) {
  const player = event.target, line = player.closest(".sound")?.querySelector(".playhead");
  if (line && player.duration) line.style.left = `${(100 * player.currentTime) / player.duration}%`;
}
