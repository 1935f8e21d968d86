// The official client, unchanged: node client.mjs ORIGIN KEY. Its package is
// below the folder that OPENAI_NODE names.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.OPENAI_NODE}/package.json`);
const OpenAI = require('openai');
const [origin, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey });
const chat = {
  model: 'talker',
  temperature: 0,
  messages: [{ role: 'user', content: 'hello my friends' }],
};

const models = await client.models.list();
assert.deepEqual(models.data.map(({ id }) => id), ['embedder', 'talker']);
assert.equal((await client.models.retrieve('talker')).object, 'model');

// The client itself asks for base64 and decodes it.
const texts = Array.from({ length: 20 }, (_, number) => `text ${number}`);
const packed = await client.embeddings.create({ model: 'embedder', input: texts });
const plain = await client.embeddings.create({
  model: 'embedder', input: texts, encoding_format: 'float',
});
assert.equal(packed.data.length, 20);
assert.deepEqual(packed.data.map((item) => item.embedding), plain.data.map((item) => item.embedding));
assert.equal(plain.data[0].embedding.length, 8);
assert.equal(plain.usage.total_tokens, 40);

const { data: answer, response } = await client.chat.completions.create(chat).withResponse();
assert.equal(answer.choices[0].message.content, 'hello my friends');
assert.equal(answer.usage.completion_tokens, 3);
assert.equal(response.headers.get('grid-notice'), 'nodes see the prompt');
const receipt = await fetch(response.headers.get('grid-receipt'), {
  headers: { authorization: `Bearer ${apiKey}` },
});
assert.equal((await receipt.json()).standing, 'canonical');

const stream = await client.chat.completions.create({
  ...chat, stream: true, stream_options: { include_usage: true },
});
let text = '';
let pieces = 0;
let finish;
let usage;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? '';
  pieces += chunk.choices[0]?.delta?.content ? 1 : 0;
  finish ??= chunk.choices[0]?.finish_reason;
  usage = chunk.usage ?? usage;
}
assert.deepEqual([text, finish, usage.total_tokens], ['hello my friends', 'stop', 6]);
assert(pieces >= 1);

const completion = await client.completions.create({ model: 'talker', prompt: 'go on', temperature: 0 });
assert.equal(completion.choices[0].text, 'go on');

const rejects = async (call, type, expected) => {
  const error = await call.then(() => assert.fail('no error'), (error) => error);
  assert(error instanceof type, `${error}`);
  for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value, name);
};
await rejects(client.chat.completions.create({ ...chat, model: 'none' }), OpenAI.NotFoundError, {
  status: 404, code: 'model_not_found', param: 'model', type: 'invalid_request_error',
});
await rejects(client.chat.completions.create({ ...chat, logit_bias: {} }), OpenAI.BadRequestError, {
  code: 'unsupported_parameter', param: 'logit_bias',
});
const stranger = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'grid_wrong' });
await rejects(stranger.models.list(), OpenAI.AuthenticationError, { code: 'invalid_api_key' });
const poor = new OpenAI({ baseURL: `${origin}/v1`, apiKey: process.env.POOR_KEY });
await rejects(poor.chat.completions.create(chat), OpenAI.RateLimitError, {
  status: 429, code: 'insufficient_quota', type: 'insufficient_quota',
});
console.log('the Node.js client is content');
