// The live tab: microphone to socket, socket to transcript. One session at a time.
import * as microphone from "./microphone.js";
import { Transcript } from "./transcript.js";

const KEPT_LAGS = 1000;
const KEPT_DELAYS = 5;
const COPIED_MS = 2000;
const SLOW_BYTES = 1_000_000;
const TOO_SLOW = "The connection to the demo is too slow for sound; what you say arrives late.";

let session = null;
let standing = "Ready";

// For measurements: from the server's transcript in the demo to the text on the page, in ms.
export const lagsMs = [];

const panel = () => document.querySelector("#live-panel");

function show(state, sentence) {
  document.body.dataset.live = state;
  standing = sentence;
  panel().querySelector(".status").textContent = sentence;
  // Start and stop take turns in being there; whoever uses the keyboard stays where the other was.
  const [start, stop] = [document.querySelector("#live-start"), document.querySelector("#live-stop")];
  if ([start, stop, document.body].includes(document.activeElement)) {
    (state === "idle" ? start : stop).focus();
  }
}

function complain(sentence) {
  panel().querySelector(".problem").textContent = sentence;
}

class Session {
  constructor(ticket) {
    this.transcript = new Transcript(panel());
    this.transcript.clear();
    this.ticket = ticket;
    this.waiting = [];
    this.delaysMs = [];
    this.beganMs = null;
    this.slow = false;
    this.ended = false;
  }

  async start() {
    try {
      this.source = await microphone.open((block) => this.send(block), () => {
        complain("The microphone stopped by itself; was it unplugged?");
        this.stop();
      });
    } catch (error) {
      if (!(error instanceof microphone.MicrophoneError)) throw error;
      this.end(error.message);
      return;
    }
    if (this.ended) {
      await this.source.stop();
      return;
    }
    const address = new URL(`speech/live/${this.ticket}`, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.onopen = () => {
      this.socket.send(JSON.stringify({ rate_hz: this.source.rate_hz }));
      for (const audio of this.waiting.splice(0)) this.socket.send(audio);
      this.tellEnd();
    };
    this.socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    this.socket.onclose = () => this.end("The connection to the demo was lost; is it still running?");
  }

  send({ audio, peak }) {
    this.beganMs ??= performance.now() - 40;
    const meter = panel().querySelector("meter");
    meter.value = Math.max(peak, meter.value * 0.8);
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.waiting.push(audio);
      return;
    }
    this.socket.send(audio);
    const slow = this.socket.bufferedAmount > SLOW_BYTES;
    if (slow !== this.slow) complain(slow ? TOO_SLOW : "");
    this.slow = slow;
  }

  hear(event) {
    switch (event.kind) {
      case "started":
        if (!this.stopping) show("listening", "Listening");
        break;
      case "speech":
        panel().dataset.speaking = event.speaking;
        return;
      case "interim":
        this.transcript.interim(event.text, event.stable);
        this.measure(event, true);
        break;
      case "final":
        this.transcript.final(event);
        this.measure(event, false);
        break;
      case "waiting":
        if (!this.stopping) show("waiting", "Waiting for the server");
        complain(event.sentence);
        break;
      case "resumed":
        if (!this.stopping) show("listening", "Listening again");
        complain("");
        break;
      case "warning":
        complain(event.sentence);
        break;
      case "error":
        this.end(event.sentence);
        break;
      case "ended":
        this.end(panel().querySelector(".problem").textContent);
        break;
    }
  }

  measure(event, interim) {
    // In the frame that shows it, not when it was merely written.
    requestAnimationFrame(() => {
      lagsMs.push(Date.now() - event.at_ms);
      if (lagsMs.length > KEPT_LAGS) lagsMs.shift();
    });
    if (!interim) return;
    this.delaysMs.push(performance.now() - this.beganMs - 1000 * event.end_s);
    if (this.delaysMs.length > KEPT_DELAYS) this.delaysMs.shift();
    const middle = [...this.delaysMs].sort((a, b) => a - b)[Math.floor(this.delaysMs.length / 2)];
    panel().querySelector(".delay").textContent = `${Math.max(0, middle / 1000).toFixed(1)} s behind your voice`;
  }

  // The finals of what was said still come; the session ends when the server has sent them.
  async stop() {
    if (this.stopping || this.ended) return;
    this.stopping = true;
    if (!this.source) {
      this.end("");
      return;
    }
    show("stopping", "Finishing");
    this.samples = await this.source.stop();
    this.tellEnd();
  }

  tellEnd() {
    if (this.samples === undefined || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ samples: this.samples }));
  }

  end(problem) {
    if (this.ended) return;
    this.ended = true;
    this.socket?.close();
    if (!this.stopping) this.source?.stop();
    this.transcript.interim("", "");
    panel().dataset.speaking = false;
    panel().querySelector("meter").value = 0;
    complain(problem);
    show("idle", problem ? "Stopped" : "Done");
    session = null;
  }
}

export function prime() {
  complain("");
  show("starting", "Starting");
}

// `answer` is {"ticket": …} or {"problem": sentence}, as JSON.
export async function start(answer) {
  const { ticket, problem } = JSON.parse(answer);
  if (problem) {
    complain(problem);
    show("idle", "Stopped");
    return;
  }
  // Whoever has pressed stop meanwhile does not want to be listened to any more.
  if (document.body.dataset.live !== "starting") return;
  session = new Session(ticket);
  await session.start();
}

export async function stop() {
  if (session) await session.stop();
  else if (document.body.dataset.live === "starting") show("idle", "Stopped");
}

export async function copy() {
  await navigator.clipboard.writeText(new Transcript(panel()).text);
  const status = panel().querySelector(".status");
  status.textContent = "Copied";
  // Then it says again what the session does, which may be something else by now.
  setTimeout(() => (status.textContent = standing), COPIED_MS);
}

window.speech = { prime, start, stop, copy, lagsMs };
document.body.dataset.live = "idle";
// The socket's end tells the server; a page that is only put aside must not go on in the dark.
addEventListener("pagehide", () => session?.end(""));
