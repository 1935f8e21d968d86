/** A file of the server's, or an error. */
export async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status}`);
  }
  return answer;
}

/** Token ids that every run shares: what they say doesn't change how long they take. */
export const ids = (batch, tokens) =>
  Array.from({ length: batch * tokens }, (_, at) => 1000 + (at * 7919) % 28000);
