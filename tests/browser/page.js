// Runs in every page before its own scripts: gives it a synthetic camera and microphone of known identity, records
// every peer connection it makes, and reads what it shows and plays. `window.harness` is what page.py calls.
(() => {
  if (window.harness) return;

  // The strip along the top of a picture: a white and a black cell to find it by, then the identity's number and the
  // frame's count, most significant bit first, and one cell that makes the number of white cells even.
  const NUMBER_BITS = 6, COUNT_BITS = 15;
  const CELLS = 2 + NUMBER_BITS + COUNT_BITS + 1;
  const STRIP = 0.2; // of the picture's height

  const harness = (window.harness = { connections: [], states: [], firstSeen: {} });

  // --- peer connections -------------------------------------------------------------------------------------------

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...settings) {
      super(...settings);
      const index = harness.connections.push(this) - 1;
      this.addEventListener('connectionstatechange', () => {
        harness.states.push({ connection: index, state: this.connectionState, at: performance.now() });
      });
    }
  };

  harness.stats = async () => {
    const all = [];
    for (const [connection, pc] of harness.connections.entries()) {
      if (pc.connectionState === 'closed') continue;
      (await pc.getStats()).forEach((report) => all.push({ connection, ...report }));
    }
    return all;
  };

  // --- pictures ---------------------------------------------------------------------------------------------------

  const bitsOf = (value, count) => Array.from({ length: count }, (_, i) => (value >> (count - 1 - i)) & 1);
  const valueOf = (bits) => bits.reduce((value, bit) => value * 2 + bit, 0);

  const draw = (canvas, context, colour, number, count) => {
    const payload = [...bitsOf(number, NUMBER_BITS), ...bitsOf(count, COUNT_BITS)];
    const cells = [1, 0, ...payload, payload.reduce((sum, bit) => sum ^ bit, 1)];
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    cells.forEach((bit, i) => {
      const left = Math.round((i * canvas.width) / CELLS), right = Math.round(((i + 1) * canvas.width) / CELLS);
      context.fillStyle = bit ? '#fff' : '#000';
      context.fillRect(left, 0, right - left, canvas.height * STRIP);
    });
  };

  // Read from a copy of fixed size, so that reading a large picture costs no more than a small one.
  const CELL_PIXELS = 8, COPY_HEIGHT = 40;
  const copy = document.createElement('canvas');
  copy.width = CELLS * CELL_PIXELS;
  copy.height = COPY_HEIGHT;
  const copyContext = copy.getContext('2d', { willReadFrequently: true });

  harness.read = (video) => {
    if (!video.videoWidth || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    copyContext.drawImage(video, 0, 0, copy.width, copy.height);
    const { data } = copyContext.getImageData(0, 0, copy.width, copy.height);
    const pixel = (x, y) => [...data.slice((y * copy.width + x) * 4, (y * copy.width + x) * 4 + 3)];
    const middle = Math.floor((COPY_HEIGHT * STRIP) / 2);
    const cells = Array.from({ length: CELLS }, (_, i) => {
      const [red, green, blue] = pixel(i * CELL_PIXELS + CELL_PIXELS / 2, middle);
      return 0.299 * red + 0.587 * green + 0.114 * blue > 127 ? 1 : 0;
    });
    const isIntact = cells[0] === 1 && cells[1] === 0 && cells.reduce((sum, bit) => sum ^ bit, 0) === 0;
    return {
      element: video.id,
      width: video.videoWidth,
      height: video.videoHeight,
      number: isIntact ? valueOf(cells.slice(2, 2 + NUMBER_BITS)) : null,
      count: isIntact ? valueOf(cells.slice(2 + NUMBER_BITS, -1)) : null,
      colour: pixel(Math.floor(copy.width * 0.9), Math.floor(COPY_HEIGHT * 0.9)),
    };
  };

  harness.pictures = () => [...document.querySelectorAll('video')].map(harness.read).filter((picture) => picture);

  setInterval(() => {
    for (const { number } of harness.pictures()) {
      if (number !== null) harness.firstSeen[number] ??= performance.now();
    }
  }, 100);

  // --- sound ------------------------------------------------------------------------------------------------------

  let shared = null;
  const audioContext = async () => {
    shared ??= new AudioContext({ sampleRate: 48000 });
    await shared.resume();
    return shared;
  };

  // The loudest frequency of a track (Hz, between the bins by a parabola) and its level (RMS of full scale 1).
  harness.listen = async (track, milliseconds) => {
    const context = await audioContext();
    const source = context.createMediaStreamSource(new MediaStream([track]));
    const analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    analyser.smoothingTimeConstant = 0;
    source.connect(analyser);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    const spectrum = new Float32Array(analyser.frequencyBinCount), wave = new Float32Array(analyser.fftSize);
    analyser.getFloatFrequencyData(spectrum);
    analyser.getFloatTimeDomainData(wave);
    source.disconnect();
    const level = Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length);
    let peak = 1;
    for (let i = 1; i < spectrum.length - 1; i++) if (spectrum[i] > spectrum[peak]) peak = i;
    if (level === 0) return { track: track.id, frequency: 0, level: 0 };
    const [before, at, after] = spectrum.slice(peak - 1, peak + 2);
    const shift = (before - after) / (2 * (before - 2 * at + after)) || 0;
    return { track: track.id, frequency: ((peak + shift) * context.sampleRate) / analyser.fftSize, level };
  };

  harness.tones = async (milliseconds) => {
    const tracks = harness.connections
      .filter((pc) => pc.connectionState !== 'closed')
      .flatMap((pc) => pc.getReceivers().map((receiver) => receiver.track))
      .filter((track) => track && track.kind === 'audio' && track.readyState === 'live' && !track.muted);
    return Promise.all(tracks.map((track) => harness.listen(track, milliseconds)));
  };

  // --- a camera and a microphone of known identity ----------------------------------------------------------------

  const camera = ({ number, colour, width, height, frame_rate: frameRate }) => {
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { alpha: false });
    let count = 0;
    const next = () => draw(canvas, context, colour, number, count++ % (1 << COUNT_BITS));
    next();
    setInterval(next, 1000 / frameRate);
    return canvas.captureStream(frameRate).getVideoTracks()[0];
  };

  const microphone = async ({ tone }) => {
    const context = await audioContext();
    const oscillator = new OscillatorNode(context, { frequency: tone });
    const destination = context.createMediaStreamDestination();
    oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(destination);
    oscillator.start();
    return destination.stream.getAudioTracks()[0];
  };

  harness.become = (identity) => {
    if (!navigator.mediaDevices) return; // not a secure context: no page could ask
    navigator.mediaDevices.getUserMedia = async ({ audio, video } = {}) => {
      const stream = new MediaStream();
      if (video) stream.addTrack(camera(identity));
      if (audio) stream.addTrack(await microphone(identity));
      return stream;
    };
  };
})();
