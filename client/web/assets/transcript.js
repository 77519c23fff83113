// The growing transcript: finals with their times, and the text that is still being spoken.

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export class Transcript {
  constructor(panel) {
    this.finals = panel.querySelector(".finals");
    this.settled = panel.querySelector(".settled");
    this.open = panel.querySelector(".open");
  }

  clear() {
    this.finals.replaceChildren();
    this.interim("", "");
  }

  // The stable part never changes any more; only what follows it is light.
  interim(text, stable) {
    this.settled.textContent = stable;
    this.open.textContent = text.slice(stable.length);
    this.follow();
  }

  final({ text, start_s, end_s }) {
    this.interim("", "");
    if (!text) return;
    const line = element("p", "final", "");
    const time = element("time", "", clock(start_s));
    time.title = `${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s`;
    line.append(time, " ", element("span", "text", text));
    this.finals.append(line);
    this.follow();
  }

  get text() {
    return [...this.finals.querySelectorAll(".text")].map((said) => said.textContent).join(" ");
  }

  follow() {
    const box = this.finals.parentElement;
    box.scrollTop = box.scrollHeight;
  }
}
