// What the extension's pages give the controls: the node behind messages, and the words.

async function ask(message) {
  const answer = await chrome.runtime.sendMessage(message);
  if (answer?.failed) throw new Error(answer.failed);
  return answer;
}

export const words = (key, args) => chrome.i18n.getMessage(key, args);

// Only an offscreen document hears of the power supply, not a background.
const tellsPower = chrome.runtime.getManifest().permissions.includes('offscreen');

export const host = { ask, words, tellsPower };

document.documentElement.lang = words('lang');
