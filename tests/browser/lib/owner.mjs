// A job owner, by plain requests.
import { decodeFiles, encodeFiles, sha256 } from './files.mjs';
import { until } from './wait.mjs';

export class Owner {
  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  async request(method, path, body, type = 'application/json') {
    const answer = await fetch(this.url + path, {
      method,
      body,
      headers: { authorization: `Bearer ${this.key}`, ...(body ? { 'content-type': type } : {}) },
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  async module(bytes) {
    const answer = await this.request('POST', '/v1/modules', bytes, 'application/wasm');
    return answer.json();
  }

  /** Submits one task for each input (`{path: bytes}`). */
  async submit(module, inputs, more = {}) {
    const { source } = await this.module(module);
    const tasks = [];
    for (const [index, input] of inputs.entries()) {
      const list = encodeFiles(input);
      const name = `task ${index}`;
      if (list.length <= 65_536) {
        tasks.push({ name, inline: list.toString('base64') });
      } else {
        await this.request('PUT', `/v1/blobs/${sha256(list)}`, list, 'application/octet-stream');
        tasks.push({ name, input: sha256(list) });
      }
    }
    const job = { module: source, name: 'browser test', tasks, ...more };
    return (await this.request('POST', '/v1/jobs', JSON.stringify(job))).json();
  }

  /** Submits one task of runtime `infer` for each request. */
  async infer(model, work, requests, more = {}) {
    const tasks = requests.map((request, index) => ({
      name: `task ${index}`,
      inline: encodeFiles({ stdin: Buffer.from(JSON.stringify(request)) }).toString('base64'),
    }));
    const job = { runtime: 'infer', model, args: [work], name: 'browser test', tasks, ...more };
    return (await this.request('POST', '/v1/jobs', JSON.stringify(job))).json();
  }

  async job(id) {
    return (await this.request('GET', `/v1/jobs/${id}`)).json();
  }

  async tasks(id) {
    return (await this.request('GET', `/v1/jobs/${id}/tasks`)).json();
  }

  async cancel(id) {
    await this.request('POST', `/v1/jobs/${id}/cancel`);
  }

  /** Waits until the job is over; its results by index, outputs decoded. */
  async results(id, ms = 60_000) {
    await until(`job ${id} is done`, async () => (await this.job(id)).state !== 'running', ms, 50);
    const text = await (await this.request('GET', `/v1/jobs/${id}/results?after=0`)).text();
    const results = [];
    for (const line of text.split('\n').filter(Boolean)) {
      const result = JSON.parse(line);
      const bytes = result.output === undefined
        ? Buffer.from(await (await this.request('GET', `/v1/jobs/${id}/tasks/${result.index}/output`)).arrayBuffer())
        : Buffer.from(result.output, 'base64');
      if (sha256(bytes) !== result.receipt.body.output) throw new Error('the output is not what was signed');
      results[result.index] = { ...result.receipt.body, hint: result.hint, files: decodeFiles(bytes), bytes };
    }
    return results;
  }

  /** Submits one task and waits for its result. */
  async run(module, input = {}, more = {}, ms = 60_000) {
    const { id } = await this.submit(module, [input], more);
    return (await this.results(id, ms))[0];
  }
}
