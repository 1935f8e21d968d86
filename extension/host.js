// What the extension's pages give the controls: the node behind messages, and the words.

async function ask(message) {
  const answer = await chrome.runtime.sendMessage(message);
  if (answer?.failed) throw new Error(answer.failed);
  return answer;
}

export const words = (key, args) => chrome.i18n.getMessage(key, args);

export const host = { ask, words };

document.documentElement.lang = words('lang');
