// The microphone as blocks of samples at the device's own rate.

const REFUSALS = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it in the address bar, then start again.",
  NotFoundError: "No microphone was found. Plug one in, then start again.",
  NotReadableError: "The microphone cannot be read; another program may be using it.",
};

export class MicrophoneError extends Error {}

function release(media) {
  for (const track of media.getTracks()) track.stop();
}

// Calls onBlock({audio, peak}) in order; stop() resolves to the number of samples once all are out.
export async function open(onBlock, onLost) {
  if (!navigator.mediaDevices) {
    throw new MicrophoneError(
      "Browsers give the microphone only to pages on https or on this very machine; open the demo that way."
    );
  }
  let media;
  try {
    // What the person says and nothing else: no filter of the browser may change it.
    media = await navigator.mediaDevices.getUserMedia({
      audio: {
        channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false,
      },
    });
  } catch (error) {
    throw new MicrophoneError(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
  const track = media.getAudioTracks()[0];
  let context;
  let source;
  let capture;
  try {
    // By itself a context has the rate of the loudspeakers, to which the browser would resample.
    context = new AudioContext({ sampleRate: track.getSettings().sampleRate });
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    await context.resume();
    source = context.createMediaStreamSource(media);
    capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  } catch (error) {
    release(media);
    await context?.close();
    throw new MicrophoneError(`The microphone cannot be used: ${error.message}`);
  }
  let stopped;
  const ending = new Promise((resolve) => (stopped = resolve));
  capture.port.onmessage = ({ data }) => (data.audio ? onBlock(data) : stopped(data.samples));
  track.addEventListener("ended", onLost);
  source.connect(capture);
  return {
    rate_hz: context.sampleRate,
    async stop() {
      capture.port.postMessage("stop");
      const samples = await ending;
      release(media);
      await context.close();
      return samples;
    },
  };
}
