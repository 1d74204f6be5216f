// Times ONNX Runtime. Protocol: "setup file threads n c h w", then "run reps".
const ort = require('onnxruntime-node');
const lines = require('readline').createInterface({input: process.stdin});

let session, feed;

// now is in seconds, of the process's CPU time if the environment says so.
function now() {
  if (process.env.BENCH_CLOCK === 'cpu') {
    const used = process.cpuUsage();
    return (used.user + used.system) / 1e6;
  }
  return Number(process.hrtime.bigint()) / 1e9;
}

async function answer(words) {
  if (words[0] === 'setup') {
    session = await ort.InferenceSession.create(words[1], {
      intraOpNumThreads: Number(words[2]), interOpNumThreads: 1, graphOptimizationLevel: 'all',
    });
    const shape = words.slice(3, 7).map(Number);
    const data = Float32Array.from({length: shape.reduce((a, b) => a * b)}, (_, i) => i % 97 / 97);
    feed = {x: new ort.Tensor('float32', data, shape)};
    const out = (await session.run(feed))[session.outputNames[0]];
    return 'ok ' + Array.from(out.data.slice(0, out.dims[1])).join(' ');
  }
  const times = [];
  for (let i = 0; i < Number(words[1]); i++) {
    const start = now();
    await session.run(feed);
    times.push(now() - start);
  }
  return times.join(' ');
}

(async () => {
  for await (const line of lines) {
    try {
      console.log(await answer(line.trim().split(' ')));
    } catch (e) {
      console.log('error: ' + String(e.message).split('\n')[0]);
    }
  }
})();
