// A word of a result plays its moment.

const LEAD_S = 0.1;

document.addEventListener("click", ({ target }) => {
  const word = target.closest?.(".result .word");
  const audio = word?.closest(".result").querySelector("audio");
  if (!audio) return;
  audio.currentTime = Math.max(0, Number(word.dataset.at) - LEAD_S);
  // Whoever pauses before it has begun has not met an error.
  audio.play().catch(() => {});
});
