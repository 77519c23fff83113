// A word of a result plays its moment. The words are one stop of the Tab key, or what comes after a
// long recording could not be reached; the arrow keys go from word to word.

const LEAD_S = 0.1;
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

document.addEventListener("click", ({ target }) => {
  const word = target.closest?.(".result .word");
  const audio = word?.closest(".result").querySelector("audio");
  if (!audio) return;
  audio.currentTime = Math.max(0, Number(word.dataset.at) - LEAD_S);
  // Whoever pauses before it has begun has not met an error.
  audio.play().catch(() => {});
});

document.addEventListener("focusin", ({ target }) => {
  const word = target.closest?.(".transcript .word");
  if (!word) return;
  word.closest(".transcript").querySelector('.word[tabindex="0"]').tabIndex = -1;
  word.tabIndex = 0;
});

document.addEventListener("keydown", (event) => {
  const word = event.target.closest?.(".transcript .word");
  if (!word || !(event.key in STEPS)) return;
  event.preventDefault();
  const words = [...word.closest(".transcript").querySelectorAll(".word")];
  words[words.indexOf(word) + STEPS[event.key]]?.focus();
});
