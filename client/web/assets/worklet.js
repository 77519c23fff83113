// Runs on the audio thread: every quantum in order, one channel, 16 bit, in blocks of 40 ms.
const BLOCK_S = 0.04;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(BLOCK_S * sampleRate));
    this.filled = 0;
    this.peak = 0;
    this.samples = 0;
    this.stopped = false;
    this.port.onmessage = () => this.stop();
  }

  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.post();
    this.port.postMessage({ samples: this.samples });
  }

  post() {
    if (!this.filled) return;
    const audio = this.block.slice(0, this.filled).buffer;
    this.port.postMessage({ audio, peak: this.peak }, [audio]);
    this.samples += this.filled;
    this.filled = 0;
    this.peak = 0;
  }

  process([channels]) {
    // A microphone that has not begun yet, or has ended, has no channels.
    if (this.stopped || !channels.length) return !this.stopped;
    for (let at = 0; at < channels[0].length; at++) {
      let sample = 0;
      for (const channel of channels) sample += channel[at];
      sample /= channels.length;
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.block[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === this.block.length) this.post();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
